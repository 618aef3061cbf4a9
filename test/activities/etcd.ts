/** Records in etcd, past the API server. */
import { Client } from 'undici';

/** Puts an object where the API server keeps it, in plaintext: as a cluster of another time may have left it. */
export async function putObject(etcdUrl: string, key: string, object: unknown): Promise<void> {
  await putRecord(etcdUrl, key, JSON.stringify(object));
}

/** @param key `/registry/secrets/NAMESPACE/NAME` … */
export async function putRecord(etcdUrl: string, key: string, value: string): Promise<void> {
  await send(etcdUrl, 'put', { key: base64(key), value: base64(value) });
}

export async function deleteRecord(etcdUrl: string, key: string): Promise<void> {
  await send(etcdUrl, 'deleterange', { key: base64(key) });
}

async function send(etcdUrl: string, command: 'put' | 'deleterange', body: unknown): Promise<void> {
  const client = new Client(etcdUrl);
  try {
    const answer = await client.request({ method: 'POST', path: `/v3/kv/${command}`, body: JSON.stringify(body) });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`etcd refused to ${command}: ${text}`);
  } finally {
    await client.destroy();
  }
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
