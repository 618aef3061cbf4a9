/** docker-compose.yml works: its services, as processes, in its order, with its environment, rotate a key. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import type { OperationAnswer } from '../../cli/api-client';
import { temporaryDirectory } from '../../cli/working-directory';
import { verifyEvidence } from '../../evidence/verify';
import { sandboxEnvironment } from '../../launch/sandbox';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { countByKey, readSecretRecords } from '../../sandbox/cluster/raw-records';
import { ensureTools } from '../../tools';
import { askForRotation, ended, makeCluster, people, testStack } from '../support/stack';
import { composeWith, ROOT } from './compose-file';
import { postgresPrograms } from './postgres';
import { rehearse, type Rehearsal } from './rehearsal';

const SECRETS = 40;
/** What a generator of passwords may give, and a template or a connection string may break on. No space: Temporal cannot. */
const PASSWORD = `p'a"s\\s@:/?#%{+}&5432-${randomBytes(8).toString('hex')}`;

const DATABASES = ['temporal', 'temporal_visibility'];

/** The arguments of a program that docs/deployment.md runs in the container of PostgreSQL, for one database. */
function documentedCommand(program: string): (database: string) => string[] {
  const text = readFileSync(path.join(ROOT, 'docs', 'deployment.md'), 'utf8');
  const command = new RegExp(`exec -T postgresql (${program} .*) [<>] "\\$name.dump"$`, 'm').exec(text)?.[1];
  if (command === undefined) throw new Error(`docs/deployment.md has no ${program}.`);
  return (database) => command.replace('"$name"', database).split(' ');
}

/** The command of docs/deployment.md that writes, or reads, the archive of Keyturn's own volumes. */
function documentedArchive(direction: '<' | '>'): string[] {
  const text = readFileSync(path.join(ROOT, 'docs', 'deployment.md'), 'utf8');
  const command = new RegExp(`run --rm --no-deps -T worker (tar .*) ${direction} keyturn.tar$`, 'm').exec(text)?.[1];
  if (command === undefined) throw new Error('docs/deployment.md has no command with keyturn.tar.');
  return command.split(' ');
}

/** Leaves a folder as a new volume is. */
function empty(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { recursive: true });
}

describe('the services of docker-compose.yml', () => {
  const directory = temporaryDirectory();
  let rehearsal: Rehearsal;
  let cluster: SandboxClusterFacts;
  let operation: OperationAnswer;

  beforeAll(async () => {
    // The services run as users of their own.
    chmodSync(directory.path, 0o755);
    const { sandbox } = testStack();
    const { NODE_EXTRA_CA_CERTS: authority = '', ...azure } = sandboxEnvironment(sandbox);
    const ownAuthority = path.join(directory.path, 'sandbox-ca.pem');
    copyFileSync(authority, ownAuthority);
    chmodSync(ownAuthority, 0o644);
    rehearsal = await rehearse({
      compose: composeWith({ ...azure, POSTGRES_PASSWORD: PASSWORD }),
      directory: directory.path,
      programs: await ensureTools(['temporal', 'temporal-server', 'temporal-sql-tool']),
      // The sandbox in Azure's place: an installation behind a proxy of its own would mount its certificate too.
      keyturnEnvironment: { NODE_EXTRA_CA_CERTS: ownAuthority },
    });
    [cluster] = await Promise.all([makeCluster('compose', { count: SECRETS }), rehearsal.up()]);
    const { requester, approver1 } = people(rehearsal.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    operation = await ended(requester, asked.id);
  });

  afterAll(async () => {
    // Undefined when the preparation failed.
    await (rehearsal as Rehearsal | undefined)?.stop();
    directory.remove();
  });

  it('start in the order of depends_on', () => {
    expect(rehearsal.order.slice(0, 7)).toEqual([
      'postgresql',
      'temporal-schema',
      'temporal',
      'temporal-namespace',
      'api-key',
      'worker',
      'api',
    ]);
  });

  it('have health checks that fail while the service does not run', () => {
    expect(rehearsal.unhealthyBefore.slice(0, 4)).toEqual(['postgresql', 'temporal', 'worker', 'api']);
  });

  it('rotate a key: every Secret is rewritten and proven', async () => {
    expect(operation).toMatchObject({
      status: 'Succeeded',
      result: { previousKeyId: cluster.keyId, proof: { secrets: SECRETS, unproven: 0 } },
    });
    const keys = { newKeyId: operation.result?.currentKeyId ?? '', oldKeyId: cluster.keyId };
    expect(await countByKey(readSecretRecords(cluster.etcd), keys)).toMatchObject({ newKey: SECRETS, oldKey: 0 });
  });

  it('seal evidence in the volume of that name, signed with the key of the other one', () => {
    const file = operation.evidence?.file ?? '';
    expect(path.dirname(file)).toBe(rehearsal.pathOf('/var/lib/keyturn/evidence'));
    const key = rehearsal.pathOf('/var/lib/keyturn/signing-key/evidence-key.pem');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const publicKeyPem = readFileSync(key.replace('.pem', '.pub.pem'), 'utf8');
    expect(verifyEvidence(readFileSync(file), { publicKeyPem })).toMatchObject({
      ok: true,
      record: { operation: { id: operation.id, status: 'Succeeded' } },
    });
  });

  it('know the operation after a backup and a restore into new volumes, by the commands of docs/deployment.md', async () => {
    const [backup, restore] = ['pg_dump', 'pg_restore'].map(documentedCommand);
    const [archive, extract] = [documentedArchive('>'), documentedArchive('<')];
    await rehearsal.stop('api', 'worker', 'temporal');
    const dumps = DATABASES.map((name) => rehearsal.exec('postgresql', backup?.(name) ?? []));
    const files = rehearsal.exec('worker', archive);
    await rehearsal.stop();
    rmSync(rehearsal.pathOf('/var/lib/postgresql/data'), { recursive: true });
    for (const volume of ['evidence', 'signing-key']) empty(rehearsal.pathOf(`/var/lib/keyturn/${volume}`));
    await rehearsal.up('postgresql');
    for (const [index, name] of DATABASES.entries()) rehearsal.exec('postgresql', restore?.(name) ?? [], dumps[index]);
    rehearsal.exec('worker', extract, files);
    await rehearsal.up();
    const { requester, approver2 } = people(rehearsal.apiUrl);
    expect(await requester.get(operation.id)).toMatchObject({ id: operation.id, status: 'Succeeded' });
    const asked = await askForRotation(requester, cluster.resourceId);
    // The evidence of the first operation, and its signing key, are there again: the current key counts as proven.
    expect(asked.plan?.steps.map(({ id }) => id)).not.toContain('current.prove');
    await approver2.approve(asked.id, asked.plan?.digest ?? '');
    expect(await ended(requester, asked.id)).toMatchObject({ status: 'Succeeded', result: { proof: { unproven: 0 } } });
  });
});

describe('a rehearsal without PostgreSQL', () => {
  it('fails with what to install', () => {
    const elsewhere = '/nonexistent';
    expect(() => postgresPrograms({ PATH: elsewhere }, elsewhere)).toThrow(/needs PostgreSQL 15 .*apt-get install/);
  });
});
