/** docker-compose.yml says only what the programs that it starts know, and keeps to itself what must stay inside. */
import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { readApiSettings } from '../../api/settings';
import { ensureTools } from '../../tools';
import { TOOLS } from '../../tools/table';
import { readWorkerSettings } from '../../worker/settings';
import { SearchAttributes } from '../../workflows/messages';
import { composeAsWritten, composeWith, interpolate, ROOT, startOrder } from './compose-file';

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const written = composeAsWritten();
const services = Object.entries(written.services);
const ENV = { POSTGRES_PASSWORD: 'secret', AZURE_TENANT_ID: '72f988bf-86f1-41af-91ab-2d7cd011db47' };

/** Where each program of Keyturn reads its variables. */
const READERS: Record<string, string[]> = {
  api: ['api/settings.ts', 'api/auth-settings.ts', 'settings/evidence-store.ts'],
  worker: [
    'worker/settings.ts',
    'worker/webhook-settings.ts',
    'worker/change-settings.ts',
    'worker/evidence-key-settings.ts',
    'settings/evidence-store.ts',
  ],
};

describe('the images of docker-compose.yml', () => {
  it('are the versions that the rehearsal builds', () => {
    const tag = (service: string): string => written.services[service]?.image.split(':')[1] ?? '';
    const { version } = TOOLS['temporal-server'].build;
    expect(tag('temporal')).toBe(version);
    for (const service of ['temporal-schema', 'temporal-namespace']) expect(tag(service)).toMatch(`${version}-`);
    const goMod = read('tools/modules/temporal/go.mod');
    expect(goMod).toContain(`github.com/temporalio/ui-server/v2 v${tag('temporal-ui')} `);
    expect(tag('postgresql')).toMatch(/^15\.\d+-/);
    const { version: own } = JSON.parse(read('package.json')) as { version: string };
    for (const service of ['api', 'worker']) expect(written.services[service]?.image).toBe(`keyturn:${own}`);
  });
});

describe('the variables of docker-compose.yml', () => {
  it.each(Object.entries(READERS))('are known to the %s, and documented', (service, files) => {
    const known = files.flatMap((file) => read(file).match(/KEYTURN_[A-Z_]+/g) ?? []);
    const documented = read('docs/settings.md');
    const names = Object.keys(written.services[service]?.environment ?? {}).filter((name) => /^KEYTURN_/.test(name));
    expect(names.filter((name) => !known.includes(name))).toEqual([]);
    expect(names.filter((name) => !documented.includes(name))).toEqual([]);
    expect(names.length).toBeGreaterThan(3);
  });

  it('offer each setting of Keyturn but the task queue, on which its own Temporal has no other worker', () => {
    for (const [service, files] of Object.entries(READERS)) {
      const known = new Set(
        files.flatMap((file) => [...read(file).matchAll(/^ {2}(KEYTURN_[A-Z_]+):/gm)].map(([, n]) => n)),
      );
      const offered = Object.keys(written.services[service]?.environment ?? {});
      expect([...known].filter((name) => !offered.includes(name ?? ''))).toEqual(['KEYTURN_TASK_QUEUE']);
    }
  });

  it('let a key in a key vault sign evidence in the place of the file', () => {
    const id = `https://kv-evidence.vault.azure.net/keys/evidence/${'a'.repeat(32)}`;
    const worker = composeWith({ ...ENV, KEYTURN_EVIDENCE_KEY_ID: id, KEYTURN_EVIDENCE_KEY_FILE: '' }).services.worker;
    const { evidenceKey } = readWorkerSettings({ ...worker?.environment } as NodeJS.ProcessEnv);
    expect(evidenceKey).toMatchObject({ in: 'vault', keyId: { kid: id } });
  });

  it('of Keyturn make settings that both processes take, and agree on', () => {
    const { services: started } = composeWith(ENV);
    const api = readApiSettings({ ...started.api?.environment } as NodeJS.ProcessEnv);
    const worker = readWorkerSettings({ ...started.worker?.environment } as NodeJS.ProcessEnv);
    expect(worker).toMatchObject({
      temporal: api.temporal,
      taskQueue: api.taskQueue,
      cloud: api.cloud,
      evidenceStore: api.evidenceStore,
    });
    // What they write is in a volume: the rest of the file system is read-only.
    const volumes = written.services.worker?.volumes.map((volume) => volume.split(':')[1]);
    const [publicKey = ''] = worker.apiPublicKeys;
    const { evidenceKey } = worker;
    const keyFile = evidenceKey.in === 'file' ? evidenceKey.file : '';
    expect(volumes).toEqual([worker.evidenceStore, path.dirname(keyFile), path.dirname(publicKey)]);
    expect(api).toMatchObject({ host: '0.0.0.0', port: 8080, tenantId: ENV.AZURE_TENANT_ID });
    expect(api.temporal).toMatchObject({ namespace: 'keyturn', connection: { address: 'temporal:7233' } });
  });

  it('that are passed on reach the processes when they are set, and only then', () => {
    expect(composeWith(ENV).services.api?.environment).not.toHaveProperty('KEYTURN_AUDIENCE');
    const set = composeWith({ ...ENV, KEYTURN_AUDIENCE: 'api://mine' });
    expect(set.services.api?.environment).toMatchObject({ KEYTURN_AUDIENCE: 'api://mine' });
  });

  it.each(Object.keys(ENV))('without a default stop the start when %s is missing, with what it is', (name) => {
    expect(() => composeWith({ ...ENV, [name]: '' })).toThrow(new RegExp(`^${name}: Set ${name} to `));
  });

  it('of Temporal are those that its programs read', async () => {
    const { 'temporal-sql-tool': sqlTool } = await ensureTools(['temporal-sql-tool']);
    const help = execFileSync(sqlTool, ['--help'], { encoding: 'utf8' });
    for (const name of Object.keys(written.services['temporal-schema']?.environment ?? {}))
      expect(help).toContain(`[$${name}]`);
    const template = [...read('deploy/temporal-server.yaml').matchAll(/\benv "(\w+)"/g)].map(([, name]) => name);
    const given = Object.keys(written.services.temporal?.environment ?? {});
    expect([...new Set(template)].sort()).toEqual(given.sort());
  });

  it('hold no secret', () => {
    const secrets = services.flatMap(([, { environment }]) =>
      Object.entries(environment).filter(([name]) => /PASSWORD|SECRET|TOKEN|API_KEY/.test(name)),
    );
    expect(secrets.length).toBeGreaterThan(3);
    for (const [, value] of secrets) expect(value ?? '${:?}').toMatch(/^\$\{\w*:\?/);
    expect(read('.gitignore').split('\n')).toContain('.env');
  });
});

describe('the commands of docker-compose.yml', () => {
  it('start scripts that the build makes', () => {
    const scripts = services.flatMap(([, { command, healthcheck }]) =>
      [...command, ...(healthcheck?.test ?? [])].filter((argument) => argument.startsWith('dist/')),
    );
    expect(scripts.sort()).toEqual([
      'dist/api/main.js',
      'dist/cli/make-keys.js',
      'dist/cli/worker-health.js',
      'dist/worker/main.js',
    ]);
    for (const script of scripts) {
      expect(existsSync(path.join(ROOT, script.replace('dist/', '').replace('.js', '.ts')))).toBe(true);
    }
  });

  it('add the search attributes by which Keyturn lists operations', () => {
    const [script = ''] = written.services['temporal-namespace']?.command ?? [];
    const added = /^for name in (.*); do$/m.exec(script)?.[1]?.split(' ') ?? [];
    const times = [...script.matchAll(/--name (Keyturn\w+) --type Datetime$/gm)].map(([, name]) => name ?? '');
    const named = (of: string): string[] =>
      Object.values(SearchAttributes).flatMap(({ name, type }) => (type === of ? [name] : []));
    expect([added.sort(), times]).toEqual([named('KEYWORD').sort(), named('DATETIME')]);
    for (const name of named('KEYWORD')) expect(script).toContain(`${name} = ''`);
    for (const name of times) expect(script).toContain(`${name} IS NULL`);
  });

  it('wait for what they need: health where a service stays, an end where it does not', () => {
    for (const [name, { depends_on: needs }] of services) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        const stays = written.services[needed]?.healthcheck !== undefined;
        expect({ name, needed, condition }).toEqual({
          name,
          needed,
          condition: stays ? 'service_healthy' : 'service_completed_successfully',
        });
      }
    }
    expect(startOrder(written)).toHaveLength(services.length);
  });
});

describe('what docker-compose.yml lets out', () => {
  it('is two ports, on loopback only', () => {
    const ports = services.flatMap(([, { ports: published }]) => published);
    expect(ports.sort()).toEqual(['127.0.0.1:8080:8080', '127.0.0.1:8233:8080']);
  });

  it('is neither PostgreSQL nor Temporal: their networks are internal, and end at Keyturn and the UI', () => {
    const on = (network: string): string[] =>
      services.flatMap(([name, { networks }]) => (networks.includes(network) ? [name] : []));
    expect(written.networks).toEqual({ database: { internal: true }, temporal: { internal: true }, outside: null });
    expect(on('database')).toEqual(['postgresql', 'temporal-schema', 'temporal']);
    expect(on('temporal')).toEqual(['temporal', 'temporal-namespace', 'temporal-ui', 'worker', 'api']);
    expect(on('outside')).toEqual(['temporal-ui', 'worker', 'api']);
    expect(written.services['temporal-ui']?.environment).toMatchObject({ TEMPORAL_DISABLE_WRITE_ACTIONS: 'true' });
  });

  it('is no privilege: all capabilities are dropped, and Keyturn runs as a user of its own on a read-only root', () => {
    for (const [name, { cap_drop, security_opt }] of services) {
      expect({ name, cap_drop, security_opt }).toEqual({
        name,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
    }
    for (const name of ['api', 'worker']) {
      expect(written.services[name]).toMatchObject({ user: '65532:65532', read_only: true });
    }
    // The API reads evidence and writes the audit log. It has its own key, and not the one that signs evidence; the worker has the
    // public half of the API's.
    expect(written.services.api?.volumes).toEqual([
      'evidence:/var/lib/keyturn/evidence',
      'api-key:/var/lib/keyturn/api-key:ro',
    ]);
    expect(written.services.worker?.volumes).not.toContain(expect.stringMatching(/^api-key:/));
  });
});

describe('the reading of docker-compose.yml', () => {
  it('follows the rules of Compose for variables', () => {
    expect(interpolate('a ${B:-c} ${D} $$e', { D: 'd' })).toBe('a c d $e');
    expect(interpolate('${A-a} ${B-b} ${C:-c}', { B: '', C: '' })).toBe('a  c');
    expect(() => interpolate('$HOME', {})).toThrow('A single $');
  });

  it('finds services that wait for one another', () => {
    const circle = composeAsWritten();
    const { postgresql } = circle.services;
    if (postgresql) postgresql.depends_on = { api: { condition: 'service_healthy' } };
    expect(() => startOrder(circle)).toThrow(
      'postgresql → api → temporal-namespace → temporal → temporal-schema → postgresql',
    );
  });
});
