/**
 * `npm run test:schema`: schemathesis makes requests from the API document, good and bad ones, and holds every response against it.
 * The routes that change something are called, too, on a cluster of the sandbox.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { askForRotation, control, makeCluster, people, testStack } from '../support/stack';

const ROOT = path.join(__dirname, '../..');
/** For each route; with the boundary values that the document names, a run sends some thousand requests. */
const EXAMPLES = 15;
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
];

let schemathesis: string;
let facts: string;
let token: string;
beforeAll(async () => {
  const requirements = path.join(__dirname, 'requirements.txt');
  const install = path.join(ROOT, 'test/support/venv_programs.py');
  const { stdout } = await promisify(execFile)('python3', [install, 'schemathesis', requirements, 'st']);
  schemathesis = stdout.trim();

  const { resourceId } = await makeCluster('schema', { count: 10 });
  const { requester, approver1 } = people();
  const waiting = await askForRotation(requester, resourceId);
  const denied = await askForRotation(requester, resourceId);
  await approver1.deny(denied.id, denied.plan?.digest ?? '');
  const operations = [waiting, waiting, denied].map(({ id, plan }) => ({ id, digest: plan?.digest }));
  const directory = path.join(testStack().directory, 'schema');
  mkdirSync(directory, { recursive: true });
  facts = path.join(directory, 'facts.json');
  writeFileSync(facts, JSON.stringify({ cluster: resourceId, operations }));
  const roles = ['Kms.Operator', 'Kms.Approver', 'Kms.Reader'];
  token = await control().mintToken({ name: 'approver1', roles });
}, 900_000);

describe('the API', () => {
  it('answers generated requests as its document says, and none with 5xx', async () => {
    const { apiUrl } = testStack();
    const args = [
      ...['run', `${apiUrl}/openapi.json`, '--url', apiUrl],
      ...['--header', `Authorization: Bearer ${token}`],
      ...['--checks', CHECKS.join(','), '--phases', 'examples,coverage,fuzzing'],
      ...['--max-examples', String(EXAMPLES), '--seed', '16', '--generation-database', 'none', '--no-shrink'],
      ...['--workers', '2', '--request-timeout', '60', '--suppress-health-check', 'all', '--continue-on-failure'],
      // The files of the page have no parameters, and one of them is large.
      ...['--exclude-path-regex', '^/docs/', '--warnings', 'off', '--no-color'],
    ];
    const ended = await promisify(execFile)(schemathesis, args, {
      cwd: path.dirname(facts),
      env: {
        PATH: process.env.PATH,
        HOME: path.dirname(facts),
        NO_PROXY: '*',
        SCHEMATHESIS_HOOKS: path.join(__dirname, 'hooks.py'),
        KEYTURN_SCHEMA_FACTS: facts,
      },
      maxBuffer: 100 * 1024 ** 2,
    }).catch((error: unknown) => error as { readonly stdout: string; readonly stderr: string; readonly code: number });
    const { stdout, stderr } = ended;
    // No token in a log of CI, expired or not.
    const said = `${stdout}\n${stderr}`.replaceAll(token, '…');
    if ('code' in ended) throw new Error(`schemathesis found faults (exit status ${ended.code}):\n${said}`);
    process.stderr.write(`${said}\n`);
    expect(said).toMatch(/Test cases:/);
  }, 900_000);
});
