/** How Keyturn signs in to ServiceNow: OAuth client credentials, or a user with a password. */
import { z } from 'zod';
import { ChangeSystemAway, exchange, statusSentence } from './exchange';
import type { ChangeSystemSettings } from './port';
import { secretLines } from './secret-file';

type Settings = Extract<ChangeSystemSettings, { name: 'servicenow' }>;

/** A login. */
export interface ServiceNowLogin {
  /** The header `Authorization`. @throws ChangeSystemAway */
  authorization(signal: AbortSignal): Promise<string>;
  /** Forgets a token that was refused; false when there is nothing to forget. */
  forget(): boolean;
}

/** A token is not used in its last minute. */
const MARGIN_IN_MS = 60_000;
const Token = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number().min(0).default(0) });

/** The login of the settings. */
export function serviceNowLogin({ url, login, secretFile }: Settings): ServiceNowLogin {
  if ('user' in login) {
    return {
      async authorization() {
        const [password] = await secretLines(secretFile);
        return `Basic ${Buffer.from(`${login.user}:${password}`).toString('base64')}`;
      },
      forget: () => false,
    };
  }
  let token: { readonly text: string; readonly until: number } | undefined;
  return {
    async authorization(signal) {
      if (token === undefined || Date.now() >= token.until) {
        const { access_token, expires_in } = await newToken(url, login.clientId, secretFile, signal);
        token = { text: access_token, until: Date.now() + expires_in * 1000 - MARGIN_IN_MS };
      }
      return `Bearer ${token.text}`;
    },
    forget() {
      const had = token !== undefined;
      token = undefined;
      return had;
    },
  };
}

async function newToken(
  url: string,
  clientId: string,
  secretFile: string,
  signal: AbortSignal,
): Promise<z.infer<typeof Token>> {
  const [secret] = await secretLines(secretFile);
  const answer = await exchange(`${url}/oauth_token.do`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: secret,
    }).toString(),
    signal,
  });
  const token = Token.safeParse(answer.body);
  if (answer.status === 200 && token.success) return token.data;
  throw new ChangeSystemAway(
    answer.status === 200
      ? 'ServiceNow answered with a page instead of a token: the instance sleeps, or is under maintenance.'
      : statusSentence(url, answer),
  );
}
