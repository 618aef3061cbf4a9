/** Refusals in Entra's form: `AADSTS700016: Application with identifier …`. */

/** A refusal of the token endpoint. */
export class EntraError extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    /** The number after AADSTS. */
    readonly code: number,
    text: string,
  ) {
    super(`AADSTS${code}: ${text}`);
    this.name = 'EntraError';
  }
}

/** 400 for a client id that nothing in the tenant has. */
export function applicationNotFound(clientId: string, tenantId: string): EntraError {
  return new EntraError(
    400,
    'unauthorized_client',
    700016,
    `Application with identifier '${clientId}' was not found in the directory '${tenantId}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.`,
  );
}
