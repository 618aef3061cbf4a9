/**
 * Errors as Azure's services send them.
 *
 * Needs: nothing.
 * Does: carries status, code and message, and renders the body in the shape of the service that speaks.
 * Never does: put a token, a key or a plaintext into a message.
 *
 * Codes that start with `Sandbox` are the sandbox's own: no public text of the real service is known for that case.
 */

/** The body's shape: ARM's gateway and Key Vault wrap in `error`, AKS's resource provider often does not (facts 1.2). */
export type ErrorShape = 'enveloped' | 'bare';

/** Everything about an error beyond its status, code and message. */
export interface AzureErrorOptions {
  readonly shape?: ErrorShape;
  /** Key Vault's `innererror.code`. */
  readonly innerCode?: string;
  readonly subcode?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal that goes to the client as an HTTP answer, or to a cluster as the reason why its vault call failed. */
export class AzureError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly options: AzureErrorOptions = {},
  ) {
    super(message);
    this.name = 'AzureError';
  }

  /** The JSON body. */
  toBody(): Record<string, unknown> {
    const { shape = 'enveloped', innerCode, subcode } = this.options;
    const detail = {
      code: this.code,
      message: this.message,
      ...(innerCode === undefined ? {} : { innererror: { code: innerCode } }),
      ...(subcode === undefined ? {} : { subcode }),
    };
    return shape === 'enveloped' ? { error: detail } : { ...detail, details: null };
  }

  /** One line for logs and for a cluster's KMS plugin: `403 KeyExpired: Operation encrypt is not allowed …`. */
  toLine(): string {
    return `${this.status} ${this.options.innerCode ?? this.code}: ${this.message.replaceAll('\r\n', ' ').trim()}`;
  }
}

/** 400 with the plain code of most resource providers. */
export function badRequest(message: string, code = 'BadRequest', options: AzureErrorOptions = {}): AzureError {
  return new AzureError(400, code, message, options);
}

/** 404 as ARM says it for any resource. */
export function resourceNotFound(type: string, name: string, resourceGroup: string): AzureError {
  return new AzureError(
    404,
    'ResourceNotFound',
    `The Resource '${type}/${name}' under resource group '${resourceGroup}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );
}
