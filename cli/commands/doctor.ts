/** `keyturn doctor`: whether this command, the API and Keyturn have what they need; each with its remedy. */
import { Command } from 'commander';
import { decodeJwt } from 'jose';
import { answerOf, sent, type Api, type DoctorReport } from '../client/client';
import { contextOf } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { cleanLine } from '../output/clean';

/** One thing that was looked at. */
interface Check extends Omit<DoctorReport['checks'][number], 'name'> {
  readonly name: string;
}

const MARKS = { ok: '✓', warning: '!', failed: '✗' } as const;
/** Tokens are refused when clocks differ by more. */
const CLOCKS_MAY_DIFFER_BY_S = 60;

/** The command. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('Looks whether everything that operations need is there: API, token, Temporal, worker, Azure, clocks.')
    .addHelpText(
      'after',
      '\nExit code 0: nothing failed; 1: something failed; 5: the API does not answer.\n\nExample:\n  keyturn doctor --output json',
    )
    .action(async (_options: object, command: Command) => {
      const { api, output, signal } = contextOf(command);
      const reached = await reach(api, signal);
      const checks = reached.reachable ? [...reached.checks, ...(await insideChecks(api, signal))] : reached.checks;
      output.answer({ checks }, () => checks.map(checkText).join('\n'));
      if (checks.some(({ status }) => status === 'failed')) {
        process.exitCode = reached.reachable ? ExitCode.Refused : ExitCode.Unavailable;
      }
    });
}

/** From here: the API, and how its clock differs from this one. */
async function reach(api: Api, signal: AbortSignal): Promise<{ reachable: boolean; checks: Check[] }> {
  try {
    const { response } = await sent(api, api.open.GET('/healthz', { signal }));
    const health = response.ok
      ? ok('api', `The API at ${api.url} answers.`)
      : failed(
          'api',
          `${api.url} answers with the HTTP status ${response.status}.`,
          'Set KEYTURN_URL to the API of Keyturn.',
        );
    return { reachable: response.ok, checks: [health, ...clock(response.headers.get('date'))] };
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return { reachable: false, checks: [failed('api', error.message, 'Start the API, or set KEYTURN_URL.')] };
  }
}

function clock(date: string | null): Check[] {
  const apiTime = Date.parse(date ?? '');
  if (Number.isNaN(apiTime)) return [];
  const differ = Math.round(Math.abs(apiTime - Date.now()) / 1000);
  if (differ <= CLOCKS_MAY_DIFFER_BY_S) return [ok('own-clock', 'The clocks of this machine and the API agree.')];
  return [
    {
      name: 'own-clock',
      status: 'warning',
      detail: `The clocks of this machine and the API differ by ${differ} s.`,
      remedy: 'Synchronize both with NTP: tokens that seem too old or too new are refused.',
    },
  ];
}

/** With a token: what it says, whether the API accepts it, and what the API says of itself. */
async function insideChecks(api: Api, signal: AbortSignal): Promise<Check[]> {
  let token: string;
  try {
    token = await api.token();
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    return [failed('token', error.message.split('\n')[0] ?? '', 'Run "keyturn login", or set KEYTURN_TOKEN.')];
  }
  try {
    const report = await answerOf(api, api.client.GET('/v1/doctor', { signal }));
    return [ok('token', `The API accepts the token. ${claimsOf(token)}`), ...report.checks];
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    const remedy = 'Sign in as a person with the role Kms.Operator, which may see what Keyturn lacks.';
    return [failed('token', `${error.message} ${claimsOf(token)}`, remedy)];
  }
}

/** What a token says of itself. Nothing is verified: the API does that. */
function claimsOf(token: string): string {
  try {
    const { aud, roles, exp } = decodeJwt(token);
    const held = Array.isArray(roles) && roles.length > 0 ? roles.map(String).join(', ') : 'none';
    const until = exp === undefined ? 'not known' : new Date(exp * 1000).toISOString();
    return `Audience ${[aud].flat().join(', ')}, roles ${held}, valid until ${until}.`;
  } catch {
    return 'It is not a JWT.';
  }
}

function checkText({ name, status, detail, remedy }: Check): string {
  const line = `${MARKS[status]} ${name}: ${cleanLine(detail)}`;
  if (remedy === null) return line;
  return `${line}\n${remedy
    .split('\n')
    .map((one) => `    ${cleanLine(one)}`)
    .join('\n')}`;
}

const ok = (name: string, detail: string): Check => ({ name, status: 'ok', detail, remedy: null });
const failed = (name: string, detail: string, remedy: string): Check => ({ name, status: 'failed', detail, remedy });
