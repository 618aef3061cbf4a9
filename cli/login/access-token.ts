/** The access token of a command: from KEYTURN_TOKEN, or from the session of `keyturn login`, renewed where it has expired. */
import { CommandFailed, ExitCode } from '../exit-codes';
import { renew } from './device-code';
import { readSession, sessionFile, writeSession } from './session';

/** A token that expires sooner is renewed first: the request takes a moment. */
const RENEW_BEFORE_IN_SECONDS = 60;

/** Gives the token for an API. Reads nothing until it is asked. */
export function accessToken(env: NodeJS.ProcessEnv, apiUrl: string): () => Promise<string> {
  return async () => {
    const given = env.KEYTURN_TOKEN?.trim();
    if (given) return given;
    const file = sessionFile(env);
    const session = readSession(file, apiUrl);
    if (session === undefined) {
      throw notSignedIn(`You are not signed in to ${apiUrl}.`);
    }
    if (session.expiresAt - RENEW_BEFORE_IN_SECONDS > Date.now() / 1000) return session.accessToken;
    const renewed = await renew(session);
    if (renewed === undefined) throw notSignedIn(`Your login to ${apiUrl} has expired.`);
    writeSession(file, apiUrl, renewed);
    return renewed.accessToken;
  };
}

function notSignedIn(what: string): CommandFailed {
  return new CommandFailed(
    `${what}\n  Run "keyturn login", or set KEYTURN_TOKEN to an access token for this API.`,
    ExitCode.NotAuthorized,
  );
}
