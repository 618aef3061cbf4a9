/** The requests of docs/integrations are run as they are written, by a shell, against the sandbox. */
import { beforeAll, describe, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { control, makeCluster, testStack } from '../support/stack';

const FOLDER = path.join(__dirname, '../../docs/integrations');
const CHANGE = 'CHG9000001';

/** The shell blocks of a page as one script; blocks in a list are indented. */
function scriptOf(page: string): string {
  const text = readFileSync(path.join(FOLDER, page), 'utf8');
  const blocks = [...text.matchAll(/^( *)```sh\n([^]*?)^ *```$/gm)].map(([, indent = '', block = '']) =>
    block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
  if (blocks.length < 2) throw new Error(`${page} has no requests.`);
  return `set -euo pipefail\n${blocks.join('\n')}`;
}

describe('the requests of', () => {
  let cluster: SandboxClusterFacts;

  beforeAll(async () => {
    cluster = await makeCluster('documented', { count: 3 });
    const time = (hours: number): string =>
      new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 19).replace('T', ' ');
    const window = { start_date: time(-1), end_date: time(3) };
    await control().setChange(CHANGE, { state: '-1', approval: 'approved', ...window });
    // One more row, for a query that finds all of them.
    await control().setChange('CHG9000002', {});
  });

  it.each(['servicenow.md', 'github-actions.md', 'terraform.md'])('%s do what the page says', async (page) => {
    const { sandbox, apiUrl, directory } = testStack();
    const { requester, approver1 } = sandbox.people;
    await promisify(execFile)('bash', ['-c', scriptOf(page)], {
      cwd: mkdtempSync(path.join(directory, 'documented-')),
      env: {
        PATH: process.env.PATH,
        HTTPS_PROXY: sandbox.proxyUrl,
        NO_PROXY: '127.0.0.1,localhost',
        CURL_CA_BUNDLE: sandbox.caFile,
        KEYTURN: apiUrl,
        TOKEN: requester.token,
        APPROVER_TOKEN: approver1.token,
        CLUSTER: cluster.resourceId,
        CHANGE,
        REQUEST_ID: `run-${page}`,
        GITHUB_STEP_SUMMARY: 'summary.md',
        SERVICENOW: sandbox.serviceNow.url,
        SN_CLIENT_ID: sandbox.serviceNow.clientId,
        SN_CLIENT_SECRET: sandbox.serviceNow.clientSecret,
      },
    });
  });
});
