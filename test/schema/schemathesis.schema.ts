/**
 * `npm run test:schema`: schemathesis makes requests from the API document, good and bad ones, and holds every response against it.
 * The routes that change something are called, too, on a cluster of the sandbox.
 *
 * KEYTURN_SCHEMA_SEED: another seed than that of CI, or `random`; several with commas, one run each. KEYTURN_SCHEMA_EXAMPLES: more examples.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeFacts, type SchemaFacts } from './facts';

const ROOT = path.join(__dirname, '../..');
/** The same requests in every run of CI. */
const SEED = 16;
/** For each route, in the phase that makes requests by chance. */
const EXAMPLES = 15;
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'positive_data_acceptance',
  'missing_required_header',
  'unsupported_method',
  'allow_header_conformance',
  'ignored_auth',
];

const run = promisify(execFile);
let schemathesis: string;
let facts: SchemaFacts;
beforeAll(async () => {
  const requirements = path.join(__dirname, 'requirements.txt');
  const install = path.join(ROOT, 'test/support/venv_programs.py');
  const { stdout } = await run('python3', [install, 'schemathesis', requirements, 'st']);
  schemathesis = stdout.trim();
  facts = await makeFacts();
}, 900_000);

describe('the API', () => {
  const seeds = (process.env['KEYTURN_SCHEMA_SEED'] ?? String(SEED))
    .split(',')
    .map((seed) => (seed === 'random' ? String(randomInt(2 ** 31)) : seed));

  it.each(seeds)(
    'answers requests made from the seed %s as its document says, and none with 5xx',
    async (seed) => {
      const { apiUrl, token, file } = facts;
      const args = [
        ...[
          '--config-file',
          path.join(__dirname, 'schemathesis.toml'),
          'run',
          `${apiUrl}/openapi.json`,
          '--url',
          apiUrl,
        ],
        ...['--header', `Authorization: Bearer ${token}`],
        ...['--checks', CHECKS.join(','), '--phases', 'examples,coverage,fuzzing'],
        ...[
          '--max-examples',
          process.env['KEYTURN_SCHEMA_EXAMPLES'] ?? String(EXAMPLES),
          '--seed',
          seed,
          '--no-shrink',
        ],
        // One worker: Python 3.11 parses its own sources for Hypothesis in one thread only (SystemError, AST recursion depth).
        ...['--workers', '1', '--suppress-health-check', 'all', '--continue-on-failure'],
        // The files of the page have no parameters, and one of them is large.
        ...['--exclude-path-regex', '^/docs/', '--warnings', 'off', '--no-color'],
      ];
      const ended = await run(schemathesis, args, {
        cwd: path.dirname(file),
        env: {
          PATH: process.env['PATH'],
          HOME: path.dirname(file),
          NO_PROXY: '*',
          SCHEMATHESIS_HOOKS: path.join(__dirname, 'hooks.py'),
          KEYTURN_SCHEMA_FACTS: file,
        },
        maxBuffer: 100 * 1024 ** 2,
      }).catch(
        (error: unknown) => error as { readonly stdout: string; readonly stderr: string; readonly code: number },
      );
      // No token in a log of CI, expired or not.
      const said = `${ended.stdout}\n${ended.stderr}`.replaceAll(token, '…');
      if ('code' in ended)
        throw new Error(`schemathesis found faults (exit status ${ended.code}, seed ${seed}):\n${said}`);
      process.stderr.write(`${said}\n`);
      expect(said).toMatch(/Test cases:/);
    },
    1_800_000,
  );
});
