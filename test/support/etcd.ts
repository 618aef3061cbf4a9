/** etcd past the API server: how often objects were stored, and how full it is. */
import { Client } from 'undici';
import { z } from 'zod';

const Range = z.object({
  kvs: z.array(z.object({ key: z.base64(), version: z.string(), mod_revision: z.string() })).optional(),
});

/** @param prefix `/registry/secrets/` … @returns by key, how often the object was stored since it was made; 1 is once */
export async function timesStored(etcdUrl: string, prefix: string): Promise<Map<string, number>> {
  const { kvs = [] } = await range(etcdUrl, prefix);
  return new Map(kvs.map(({ key, version }) => [Buffer.from(key, 'base64').toString(), Number(version)]));
}

/** @returns by key, the revision of etcd at which the object was stored last */
export async function revisions(etcdUrl: string, prefix: string): Promise<Record<string, string>> {
  const { kvs = [] } = await range(etcdUrl, prefix);
  return Object.fromEntries(kvs.map(({ key, mod_revision }) => [Buffer.from(key, 'base64').toString(), mod_revision]));
}

const Status = z.object({ header: z.object({ revision: z.string() }), dbSize: z.string() });
const Alarms = z.object({ alarms: z.array(z.object({ memberID: z.string(), alarm: z.string() })).default([]) });
const BALLAST = 'ballast-';
/** Small: the database grows by the pages that a write touches, too. */
const PIECE_IN_BYTES = 50_000;

/** Fills an etcd until this much of its quota is left. */
export async function fillEtcd(etcdUrl: string, quotaInBytes: number, leftInBytes: number): Promise<void> {
  // etcd commits before it answers with a hash: what was put before shows in the size only then.
  await send(etcdUrl, '/v3/maintenance/hash', {});
  const { dbSize } = Status.parse(await send(etcdUrl, '/v3/maintenance/status', {}));
  let bytes = quotaInBytes - Number(dbSize) - leftInBytes;
  for (let piece = 0; bytes > 0; piece++, bytes -= PIECE_IN_BYTES) {
    const value = base64('x'.repeat(Math.min(PIECE_IN_BYTES, bytes)));
    await send(etcdUrl, '/v3/kv/put', { key: base64(`${BALLAST}${piece}`), value });
  }
}

/** What support does for an etcd that is full: it deletes what filled it, compacts, defragments, and clears the alarm. */
export async function relieveEtcd(etcdUrl: string): Promise<void> {
  await send(etcdUrl, '/v3/kv/deleterange', { key: base64(BALLAST), range_end: base64(after(BALLAST)) });
  const { header } = Status.parse(await send(etcdUrl, '/v3/maintenance/status', {}));
  await send(etcdUrl, '/v3/kv/compaction', { revision: header.revision, physical: true });
  await send(etcdUrl, '/v3/maintenance/defragment', {});
  const { alarms } = Alarms.parse(await send(etcdUrl, '/v3/maintenance/alarm', { action: 'GET' }));
  for (const alarm of alarms) await send(etcdUrl, '/v3/maintenance/alarm', { action: 'DEACTIVATE', ...alarm });
}

async function range(etcdUrl: string, prefix: string): Promise<z.infer<typeof Range>> {
  const body = { key: base64(prefix), range_end: base64(after(prefix)), keys_only: true };
  return Range.parse(await send(etcdUrl, '/v3/kv/range', body));
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
/** The end of the range of keys that begin with a prefix. */
const after = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);

async function send(etcdUrl: string, path: string, body: unknown): Promise<unknown> {
  const client = new Client(etcdUrl);
  try {
    const answer = await client.request({ method: 'POST', path, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`etcd answered ${path} with ${answer.statusCode}: ${text}`);
    return JSON.parse(text) as unknown;
  } finally {
    await client.destroy();
  }
}
