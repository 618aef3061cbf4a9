/** Signing in with a device code (RFC 8628), by `openid-client`: the person opens a page anywhere, and this program waits. */
import * as oidc from 'openid-client';
import { httpFetch } from '../client/http';
import { CommandFailed, ExitCode } from '../exit-codes';
import type { Session } from './session';

/** Where and how people sign in. */
export type LoginSettings = Pick<Session, 'issuer' | 'clientId' | 'scope'>;

/** What a person has to do. */
export interface DevicePrompt {
  readonly url: string;
  readonly code: string;
}

/** Signs a person in. @param tell shows what to do @throws CommandFailed */
export async function signIn(
  settings: LoginSettings,
  tell: (prompt: DevicePrompt) => void,
  signal?: AbortSignal,
): Promise<Session> {
  return await inWords(settings, async () => {
    const configuration = await discover(settings);
    const started = await oidc.initiateDeviceAuthorization(configuration, { scope: settings.scope });
    tell({ url: started.verification_uri, code: started.user_code });
    const tokens = await oidc.pollDeviceAuthorizationGrant(configuration, started, undefined, { signal });
    return sessionOf(settings, tokens);
  });
}

/** Gets a new access token without the person. @returns undefined when the person must sign in again */
export async function renew(session: Session): Promise<Session | undefined> {
  const { refreshToken } = session;
  if (refreshToken === undefined) return undefined;
  try {
    const configuration = await discover(session);
    const tokens = await oidc.refreshTokenGrant(configuration, refreshToken, { scope: session.scope });
    return sessionOf(session, { ...tokens, refresh_token: tokens.refresh_token ?? refreshToken }, tokens.expiresIn());
  } catch (error) {
    if (error instanceof oidc.ResponseBodyError) return undefined;
    throw failureOf(session, error);
  }
}

async function discover({ issuer, clientId }: LoginSettings): Promise<oidc.Configuration> {
  return await oidc.discovery(new URL(issuer), clientId, undefined, oidc.None(), {
    [oidc.customFetch]: httpFetch,
  });
}

function sessionOf(
  { issuer, clientId, scope }: LoginSettings,
  tokens: Pick<oidc.TokenEndpointResponse, 'access_token' | 'refresh_token'> & { expiresIn?: () => number | undefined },
  expiresIn = tokens.expiresIn?.(),
): Session {
  const lifetime = expiresIn ?? 3600;
  return {
    issuer,
    clientId,
    scope,
    accessToken: tokens.access_token,
    ...(tokens.refresh_token === undefined ? {} : { refreshToken: tokens.refresh_token }),
    expiresAt: Math.floor(Date.now() / 1000) + lifetime,
  };
}

async function inWords<T>(settings: LoginSettings, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failureOf(settings, error);
  }
}

function failureOf({ issuer }: LoginSettings, error: unknown): CommandFailed {
  if (error instanceof CommandFailed) return error;
  if (error instanceof oidc.ResponseBodyError) {
    const why = error.error_description ?? error.error;
    return new CommandFailed(`The issuer ${issuer} refused the login. ${why}`, ExitCode.NotAuthorized);
  }
  const message = error instanceof Error ? error.message : String(error);
  return new CommandFailed(`The login at ${issuer} failed: ${message}`, ExitCode.Unavailable);
}
