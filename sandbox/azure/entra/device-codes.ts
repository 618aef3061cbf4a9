/**
 * The device code flow (RFC 8628) of Entra: a program shows a code, a person enters it elsewhere, and the program gets tokens.
 *
 * Needs: the token service.
 * Does: hands out codes, and tokens for Keyturn's API once the control API says that a person has entered the code; refresh tokens, once each.
 * Never does: ask for a password. Who signs in is what the control API says.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { EntraError } from './entra-error';
import { KEYTURN_AUDIENCE, type TokenService, type UserTokenOptions } from './tokens';

/** The grant type of a device code. */
export const DEVICE_CODE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const CODE_LIFETIME_IN_SECONDS = 900;
/** Entra says 5; a test waits for it. */
const INTERVAL_IN_SECONDS = 1;
const TOKEN_LIFETIME_IN_SECONDS = 3599;

/** A person who has entered a code. */
export type SignedIn = Pick<UserTokenOptions, 'name' | 'roles' | 'expiresInSeconds'>;

interface Pending {
  readonly userCode: string;
  readonly scope: string;
  person?: SignedIn;
}

/** The codes of one tenant. */
export class DeviceCodes {
  readonly #pending = new Map<string, Pending>();
  readonly #refresh = new Map<string, { readonly scope: string; readonly person: SignedIn }>();

  constructor(private readonly tokens: TokenService) {}

  /** The answer of `/devicecode`. @throws EntraError */
  begin(scope: string | undefined): Record<string, unknown> {
    if (scope?.includes(KEYTURN_AUDIENCE) !== true) {
      const why = `The application asked for scope '${scope ?? ''}' that doesn't exist on the resource.`;
      throw new EntraError(400, 'invalid_scope', 70011, why);
    }
    const deviceCode = randomBytes(24).toString('base64url');
    const userCode = Array.from({ length: 9 }, () => 'BCDFGHJKLMNPQRSTVWXZ'[randomInt(20)]).join('');
    this.#pending.set(deviceCode, { userCode, scope });
    return {
      user_code: userCode,
      device_code: deviceCode,
      verification_uri: 'https://microsoft.com/devicelogin',
      expires_in: CODE_LIFETIME_IN_SECONDS,
      interval: INTERVAL_IN_SECONDS,
      message: `To sign in, use a web browser to open the page https://microsoft.com/devicelogin and enter the code ${userCode} to authenticate.`,
    };
  }

  /** A person enters a code. @returns whether there is such a code */
  enter(userCode: string, person: SignedIn): boolean {
    const found = [...this.#pending.values()].find((one) => one.userCode === userCode);
    if (found) found.person = person;
    return found !== undefined;
  }

  /** Tokens for a device code. @throws EntraError `authorization_pending` until a person has entered it */
  async redeem(deviceCode: string | undefined): Promise<Record<string, unknown>> {
    const pending = this.#pending.get(deviceCode ?? '');
    if (pending === undefined) {
      throw new EntraError(400, 'bad_verification_code', 70000, 'The device code is not known, or was used.');
    }
    const { person, scope } = pending;
    if (person === undefined) {
      const why = 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.';
      throw new EntraError(400, 'authorization_pending', 70016, why);
    }
    this.#pending.delete(deviceCode ?? '');
    return await this.#issue(scope, person);
  }

  /** Tokens for a refresh token, which is used up by that. @throws EntraError */
  async refresh(refreshToken: string | undefined): Promise<Record<string, unknown>> {
    const known = this.#refresh.get(refreshToken ?? '');
    if (known === undefined) throw new EntraError(400, 'invalid_grant', 70000, 'The provided grant is invalid.');
    this.#refresh.delete(refreshToken ?? '');
    return await this.#issue(known.scope, { ...known.person, expiresInSeconds: TOKEN_LIFETIME_IN_SECONDS });
  }

  async #issue(scope: string, person: SignedIn): Promise<Record<string, unknown>> {
    const refreshToken = randomBytes(32).toString('base64url');
    const offline = scope.split(' ').includes('offline_access');
    if (offline) this.#refresh.set(refreshToken, { scope, person });
    const lifetime = person.expiresInSeconds ?? TOKEN_LIFETIME_IN_SECONDS;
    return {
      token_type: 'Bearer',
      scope,
      expires_in: lifetime,
      ext_expires_in: lifetime,
      access_token: await this.tokens.mintUserToken({ ...person, expiresInSeconds: lifetime }),
      ...(offline ? { refresh_token: refreshToken } : {}),
    };
  }
}
