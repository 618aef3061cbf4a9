/** How often objects were stored: etcd counts it, past the API server. */
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

async function range(etcdUrl: string, prefix: string): Promise<z.infer<typeof Range>> {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const after = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  const client = new Client(etcdUrl);
  try {
    const body = JSON.stringify({ key: base64(prefix), range_end: base64(after), keys_only: true });
    const answer = await client.request({ method: 'POST', path: '/v3/kv/range', body });
    return Range.parse(await answer.body.json());
  } finally {
    await client.destroy();
  }
}
