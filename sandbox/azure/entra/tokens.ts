/**
 * Access tokens: minting and checking.
 *
 * Needs: the directory.
 * Does: signs RS256 tokens with the tenant's key, in the claims of v1.0 (ARM, Key Vault) and v2.0 (Keyturn's API).
 * Never does: hand out the private key. The JWKS holds the public part only.
 */
import { createHash, generateKeyPair as generateKeyPairCallback, randomUUID, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { decodeJwt, errors, exportJWK, jwtVerify, SignJWT, type JWK, type JWTPayload } from 'jose';
import { messageOf } from '../../message-of';
import { CLOUDS, STORAGE_AUDIENCE, type AzureCloud } from '../clouds';
import type { Directory, ServicePrincipal } from './directory';

const generateKeyPair = promisify(generateKeyPairCallback);

/** The audience of Keyturn's own API. */
export const KEYTURN_AUDIENCE = 'api://keyturn';
/** How long a service principal's token lives; Entra's default is about an hour. */
export const APP_TOKEN_LIFETIME_IN_SECONDS = 3599;
const USER_TOKEN_LIFETIME_IN_SECONDS = 12 * 3600;
/** The `azp` of user tokens: the client that people sign in with. */
const USER_CLIENT_ID = '3f8c3c1e-6a52-4d5a-9c57-6b0d5f7a9a01';

/** What a token of Keyturn's API says. Everything has a default, so a test names only what it is about. */
export interface UserTokenOptions {
  /** `preferred_username` is `{name}@sandbox.test`. Default `someone`. */
  readonly name?: string;
  /** Object id; default derived from the name, so that it is the same in every token of one person. */
  readonly objectId?: string;
  /** Default none. */
  readonly roles?: readonly string[];
  /** Default `api://keyturn`. */
  readonly audience?: string;
  /** Default the sandbox's tenant; another one also changes the issuer, but not the signing key. */
  readonly tenantId?: string;
  /** Default 12 h; a negative number mints a token that has expired. */
  readonly expiresInSeconds?: number;
  /** An app-only token: `idtyp` app, and neither scope nor user name. */
  readonly appOnly?: boolean;
  /** The cloud whose Entra issues it. Default the public one. */
  readonly cloud?: AzureCloud['name'];
}

/** Who a checked token speaks for. */
export interface TokenCaller {
  readonly principal: ServicePrincipal;
  readonly issuer: string;
}

/** Why a token is not accepted. */
export class TokenRejected extends Error {
  constructor(
    readonly reason: 'malformed' | 'expired' | 'audience' | 'issuer' | 'principal',
    message: string,
  ) {
    super(message);
    this.name = 'TokenRejected';
  }
}

/** The token service of one tenant. */
export class TokenService {
  readonly #directory: Directory;
  readonly #keyId: string;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  /** The public key set that `/discovery/v2.0/keys` serves. */
  readonly jwks: { readonly keys: readonly JWK[] };

  private constructor(directory: Directory, privateKey: KeyObject, publicKey: KeyObject, jwk: JWK) {
    this.#directory = directory;
    this.#privateKey = privateKey;
    this.#publicKey = publicKey;
    this.#keyId = jwk.kid ?? '';
    this.jwks = { keys: [jwk] };
  }

  /** Makes a token service with a fresh RSA 2048 signing key. */
  static async create(directory: Directory): Promise<TokenService> {
    const { privateKey, publicKey } = await generateKeyPair('rsa', { modulusLength: 2048 });
    const jwk = await exportJWK(publicKey);
    const kid = createHash('sha256').update(String(jwk.n)).digest('base64url').slice(0, 27);
    return new TokenService(directory, privateKey, publicKey, { ...jwk, kid, use: 'sig', alg: 'RS256' });
  }

  /** The v1.0 issuer, which ARM and Key Vault tokens carry. */
  get issuerV1(): string {
    return `https://sts.windows.net/${this.#directory.tenantId}/`;
  }

  /** An access token of an app for a resource; Keyturn's API gets v2.0 claims, all others v1.0. */
  async mintAppToken(principal: ServicePrincipal, resource: string): Promise<string> {
    if (resource === KEYTURN_AUDIENCE) {
      const { appId, objectId, displayName, appRoles } = principal;
      return this.#sign(
        {
          ...this.#userClaims({ name: displayName, objectId, roles: appRoles, appOnly: true }),
          azp: appId,
        },
        APP_TOKEN_LIFETIME_IN_SECONDS,
      );
    }
    return this.#sign(
      {
        aud: resource,
        iss: this.issuerV1,
        tid: this.#directory.tenantId,
        appid: principal.appId,
        // 1 is a secret, 2 an assertion or a certificate; managed identities have no secrets.
        appidacr: principal.kind === 'application' ? '1' : '2',
        idtyp: 'app',
        oid: principal.objectId,
        sub: principal.objectId,
        uti: randomUUID(),
        ver: '1.0',
      },
      APP_TOKEN_LIFETIME_IN_SECONDS,
    );
  }

  /** A v2.0 access token for Keyturn's API, or one with the fault that a test asks for. */
  async mintUserToken(options: UserTokenOptions = {}): Promise<string> {
    return this.#sign(this.#userClaims(options), options.expiresInSeconds ?? USER_TOKEN_LIFETIME_IN_SECONDS);
  }

  /**
   * Checks a bearer token of an app.
   * @throws TokenRejected with the reason, when it is not one of this tenant's for one of these audiences.
   */
  async verifyAppToken(token: string, audiences: readonly string[]): Promise<TokenCaller> {
    const claims = await this.#verify(token);
    const audience = String(claims.aud ?? '');
    if (!audiences.includes(audience.replace(/\/$/, ''))) {
      throw new TokenRejected('audience', audience);
    }
    if (claims.iss !== this.issuerV1) throw new TokenRejected('issuer', String(claims.iss));
    const appId = typeof claims['appid'] === 'string' ? claims['appid'] : '';
    const principal = this.#directory.findByAppId(appId);
    if (principal === undefined) throw new TokenRejected('principal', `there is no application '${appId}'`);
    return { principal, issuer: this.issuerV1 };
  }

  async #verify(token: string): Promise<JWTPayload> {
    try {
      return (await jwtVerify(token, this.#publicKey, { algorithms: ['RS256'] })).payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new TokenRejected('expired', expiryOf(token));
      throw new TokenRejected('malformed', messageOf(error));
    }
  }

  #userClaims(options: UserTokenOptions): JWTPayload {
    const name = options.name ?? 'someone';
    const tenantId = options.tenantId ?? this.#directory.tenantId;
    const objectId = options.objectId ?? userObjectId(tenantId, name);
    return {
      aud: options.audience ?? KEYTURN_AUDIENCE,
      iss: `https://${issuerHost(options.cloud)}/${tenantId}/v2.0`,
      tid: tenantId,
      oid: objectId,
      sub: stableUuid(`sub/${objectId}`),
      azp: USER_CLIENT_ID,
      azpacr: '1',
      roles: [...(options.roles ?? [])],
      uti: randomUUID(),
      ver: '2.0',
      ...(options.appOnly === true
        ? { idtyp: 'app' }
        : { name, preferred_username: `${name}@sandbox.test`, scp: 'access_as_user' }),
    };
  }

  #sign(claims: JWTPayload, lifetimeInSeconds: number): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    // A token that has expired was valid for an hour before that.
    const issuedAt = lifetimeInSeconds > 0 ? now : now + lifetimeInSeconds - 3600;
    return new SignJWT({ ...claims, iat: issuedAt, nbf: issuedAt, exp: now + lifetimeInSeconds })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid: this.#keyId })
      .sign(this.#privateKey);
  }
}

function issuerHost(cloud: AzureCloud['name'] = 'AzureCloud'): string {
  return CLOUDS.find(({ name }) => name === cloud)?.issuerHost ?? '';
}

/** Whether tokens are issued for a resource, with or without a slash at its end: ARM, Graph, vaults, Keyturn's API. */
export function isKnownResource(resource: string): boolean {
  const plain = resource.replace(/\/$/, '');
  return (
    plain === KEYTURN_AUDIENCE ||
    plain === STORAGE_AUDIENCE ||
    CLOUDS.some(
      ({ armAudiences, graphHost, vaultAudience }) =>
        armAudiences.includes(plain) || vaultAudience === plain || plain === `https://${graphHost}`,
    )
  );
}

/** The object id of a person: the same in every token. */
export function userObjectId(tenantId: string, name: string): string {
  return stableUuid(`${tenantId}/${name}`);
}

/** A UUID (version 5 in form) that depends on the text only. */
function stableUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function expiryOf(token: string): string {
  return new Date((decodeJwt(token).exp ?? 0) * 1000).toISOString();
}
