/** `keyturn login` and `logout`: signs a person in with a device code, and keeps the token for later commands. */
import { Command } from 'commander';
import { contextOf } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { signIn, type LoginSettings } from '../login/device-code';
import { readSession, removeSession, sessionFile, writeSession } from '../login/session';

interface LoginOptions {
  readonly tenant?: string;
  readonly issuer?: string;
  readonly clientId?: string;
  readonly scope?: string;
}

const HELP = `
Open the page that it shows, in any browser, and type the code. The token is kept in
$XDG_CONFIG_HOME/keyturn/sessions.json, readable by you only, and renewed while the issuer allows it.
The second time, "keyturn login" needs no options. A program sets KEYTURN_TOKEN instead.

Examples:
  keyturn login --tenant 72f988bf-86f1-41af-91ab-2d7cd011db47 --client-id 5c7f2a10-… --scope "api://keyturn/access_as_user offline_access"
  keyturn login --issuer https://id.example/realms/keys --client-id keyturn-cli --scope "openid keyturn offline_access"`;

/** `login`. */
export function loginCommand(): Command {
  return new Command('login')
    .description('Signs you in with a device code.')
    .option('--tenant <id>', 'Entra tenant (KEYTURN_LOGIN_TENANT)')
    .option('--issuer <url>', 'another OpenID Connect issuer (KEYTURN_LOGIN_ISSUER)')
    .option('--client-id <id>', 'the application to sign in with; a public client (KEYTURN_LOGIN_CLIENT_ID)')
    .option(
      '--scope <scopes>',
      'what to ask for: the scope of the API, and offline_access to stay signed in (KEYTURN_LOGIN_SCOPE)',
    )
    .addHelpText('after', HELP)
    .action(async (options: LoginOptions, command: Command) => {
      const { api, output, env, signal } = contextOf(command);
      const file = sessionFile(env);
      const settings = settingsOf(options, env, readSession(file, api.url));
      const session = await signIn(
        settings,
        ({ url, code }) => output.note(`Open ${url} and type the code ${code}`),
        signal,
      );
      writeSession(file, api.url, session);
      const expiresAt = new Date(session.expiresAt * 1000).toISOString();
      output.answer(
        { api: api.url, issuer: session.issuer, expiresAt },
        () => `Signed in to ${api.url} until ${expiresAt}.`,
      );
    });
}

/** `logout`. */
export function logoutCommand(): Command {
  return new Command('logout')
    .description('Forgets the token of "keyturn login" for this API.')
    .action((_options: object, command: Command) => {
      const { api, output, env } = contextOf(command);
      const removed = removeSession(sessionFile(env), api.url);
      output.answer({ removed }, () =>
        removed ? `Signed out of ${api.url}.` : `You were not signed in to ${api.url}.`,
      );
    });
}

function settingsOf(options: LoginOptions, env: NodeJS.ProcessEnv, before: LoginSettings | undefined): LoginSettings {
  const tenant = options.tenant ?? env.KEYTURN_LOGIN_TENANT;
  const ofTenant = tenant === undefined ? undefined : `https://login.microsoftonline.com/${tenant}/v2.0`;
  const issuer = options.issuer ?? ofTenant ?? env.KEYTURN_LOGIN_ISSUER ?? before?.issuer;
  const clientId = options.clientId ?? env.KEYTURN_LOGIN_CLIENT_ID ?? before?.clientId;
  const scope = options.scope ?? env.KEYTURN_LOGIN_SCOPE ?? before?.scope;
  if (issuer !== undefined && clientId !== undefined && scope !== undefined) return { issuer, clientId, scope };
  const lacks = [
    ...(issuer === undefined ? ['--tenant or --issuer'] : []),
    ...(clientId === undefined ? ['--client-id'] : []),
    ...(scope === undefined ? ['--scope'] : []),
  ];
  throw new CommandFailed(`The first login needs ${lacks.join(', ')}. See "keyturn login --help".`, ExitCode.Usage);
}
