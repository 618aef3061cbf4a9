/**
 * What the provider asks of a vault: GETs over HTTPS, with the words of Azure's SDK for Go when they are refused.
 *
 * Needs: the sandbox's proxy, and a credential.
 * Does: meets the vault's challenge, gets a token for what it names, asks again.
 * Never does: retry, or keep a token for the next mount.
 */
import { STATUS_CODES } from 'node:http';
import { request, type Dispatcher } from 'undici';
import type { TokenRefused } from './contract';
import { indented, isJsonObject, type JsonObject } from './json';

const API_VERSION = '7.6';
const LINE = '-'.repeat(80);

/** What a vault's challenge names. */
export interface Challenge {
  readonly tenantId: string;
  /** `https://vault.azure.net` */
  readonly resource: string;
}

/** Gets an access token for what a challenge names. Rejects with the words of the credential. */
export type Credential = (challenge: Challenge) => Promise<string>;

/** Reads objects of one vault. */
export class VaultReader {
  readonly #vaultUrl: string;
  readonly #dispatcher: Dispatcher;
  readonly #credential: Credential;
  #token: string | undefined;

  constructor(vaultUrl: string, dispatcher: Dispatcher, credential: Credential) {
    this.#vaultUrl = vaultUrl;
    this.#dispatcher = dispatcher;
    this.#credential = credential;
  }

  /** @param path `/secrets/NAME/` @throws Error in the words of azcore's ResponseError */
  async get(path: string): Promise<JsonObject> {
    if (this.#token === undefined) {
      const unauthorized = await this.#ask(path);
      const challenge = challengeIn(unauthorized.challenge);
      if (challenge === undefined) throw new Error(responseError(this.#vaultUrl + path, unauthorized));
      this.#token = await this.#credential(challenge);
    }
    const answer = await this.#ask(path, this.#token);
    if (answer.status !== 200) throw new Error(responseError(this.#vaultUrl + path, answer));
    const body: unknown = JSON.parse(answer.body);
    return isJsonObject(body) ? body : {};
  }

  async #ask(path: string, token?: string): Promise<{ status: number; body: string; challenge: string }> {
    const url = `${this.#vaultUrl}${path}?api-version=${API_VERSION}`;
    try {
      const { statusCode, headers, body } = await request(url, {
        dispatcher: this.#dispatcher,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      });
      return { status: statusCode, body: await body.text(), challenge: String(headers['www-authenticate'] ?? '') };
    } catch (error) {
      // The sandbox's proxy opens no tunnel to a vault that has no DNS name.
      const host = new URL(url).hostname;
      throw new Error(`Get ${JSON.stringify(url)}: dial tcp: lookup ${host} on 10.0.0.10:53: no such host`, {
        cause: error,
      });
    }
  }
}

/** azidentity's AuthenticationFailedError. */
export function authenticationFailed(
  credential: string,
  message: string,
  refused: TokenRefused,
  anchor?: string,
): Error {
  const lines = [
    `${credential} authentication failed. ${message}`,
    refused.request,
    LINE,
    `RESPONSE ${refused.status} ${STATUS_CODES[refused.status] ?? ''}`,
    LINE,
    indented(refused.body),
    LINE,
    anchor === undefined ? '' : `To troubleshoot, visit https://aka.ms/azsdk/go/identity/troubleshoot#${anchor}`,
  ];
  return new Error(lines.join('\n'));
}

/** azcore's ResponseError. */
function responseError(url: string, { status, body }: { readonly status: number; readonly body: string }): string {
  const code = /"code":\s*"([^"]+)"/.exec(body)?.[1];
  const lines = [
    `GET ${url}`,
    LINE,
    `RESPONSE ${status}: ${status} ${STATUS_CODES[status] ?? ''}`,
    code === undefined ? 'ERROR CODE UNAVAILABLE' : `ERROR CODE: ${code}`,
    LINE,
    body === '' ? 'Response contained no body' : indented(body),
    LINE,
  ];
  return `${lines.join('\n')}\n`;
}

function challengeIn(header: string): Challenge | undefined {
  const tenantId = /authorization="https:\/\/[^/]+\/([^"]+)"/.exec(header)?.[1];
  const resource = /resource="([^"]+)"/.exec(header)?.[1];
  return tenantId === undefined || resource === undefined ? undefined : { tenantId, resource };
}
