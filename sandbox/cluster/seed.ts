/**
 * Fills a cluster with Secrets that look like those of a real one.
 *
 * Does: makes namespaces and Secrets with predictable names and unpredictable values, many at a time.
 * Never does: change what is there. Seeding twice adds what is missing.
 */
import { randomBytes } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node';
import { createApiClient, type ApiClient } from './api-client';

const DEFAULT_LARGE_SIZE_IN_BYTES = 100 * 1024;
const SMALL_SIZE_IN_BYTES = 48;
/** Two cores are busy from here on. */
const IN_FLIGHT = 24;
/** Not all Secrets are Opaque: every so many-th is a user name and password. */
const BASIC_AUTH_EVERY = 7;

/** What to fill a cluster with. */
export interface SeedOptions {
  readonly count: number;
  /** Made if missing; Secrets are spread over them one by one. */
  readonly namespaces: readonly string[];
  /** Every so many-th Secret is immutable; none when absent. */
  readonly immutableEvery?: number;
  /** Every so many-th Secret is large; none when absent. */
  readonly largeEvery?: number;
  /** Size of the value of a large Secret. 100 KiB when absent. */
  readonly largeSizeInBytes?: number;
  /** Every value starts with it, so that a test can look for it where no Secret belongs. */
  readonly marker?: string;
}

/** A Namespace or a Secret, as it is sent. */
interface NamedObject {
  readonly apiVersion: 'v1';
  readonly kind: 'Namespace' | 'Secret';
  readonly metadata: { readonly name: string };
  readonly type?: string;
  readonly immutable?: boolean;
  /** Values in base64. */
  readonly data?: Readonly<Record<string, string>>;
}

/** What seeding did. */
export interface SeedSummary {
  readonly created: number;
  /** Were there already and were left as they are. */
  readonly existing: number;
}

/**
 * Makes the Secrets `secret-00001` to `secret-{count}`.
 * @param kubeconfig of a user who may create namespaces and Secrets; with embedded client certificate
 * @throws Error naming the first Secret that the API server refused. Others may have been made.
 */
export async function seedSecrets(kubeconfig: string, options: SeedOptions): Promise<SeedSummary> {
  if (options.namespaces.length === 0) throw new Error('Seeding needs at least one namespace.');
  const client = clientOf(kubeconfig);
  try {
    for (const name of options.namespaces) {
      await create(client, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
    let next = 1;
    let created = 0;
    const work = async (): Promise<void> => {
      while (next <= options.count) {
        const { namespace, secret } = secretAt(next++, options);
        if (await create(client, `/api/v1/namespaces/${namespace}/secrets`, secret)) created++;
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, work));
    return { created, existing: options.count - created };
  } finally {
    await client.close();
  }
}

/** The name of the n-th Secret, counted from 1: `secret-00001`. */
export function seededName(index: number): string {
  return `secret-${String(index).padStart(5, '0')}`;
}

function secretAt(index: number, options: SeedOptions): { namespace: string; secret: NamedObject } {
  const { namespaces, immutableEvery, largeEvery, largeSizeInBytes = DEFAULT_LARGE_SIZE_IN_BYTES, marker } = options;
  const value = (sizeInBytes: number): string =>
    Buffer.concat([Buffer.from(marker ?? ''), Buffer.from(randomBytes(sizeInBytes).toString('base64url'))])
      .subarray(0, Math.max(sizeInBytes, marker?.length ?? 0))
      .toString('base64');
  const isBasicAuth = index % BASIC_AUTH_EVERY === 0;
  return {
    namespace: namespaces[(index - 1) % namespaces.length] ?? '',
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: seededName(index) },
      type: isBasicAuth ? 'kubernetes.io/basic-auth' : 'Opaque',
      immutable: every(immutableEvery, index) ? true : undefined,
      data: {
        ...(isBasicAuth ? { username: value(SMALL_SIZE_IN_BYTES) } : {}),
        password: value(SMALL_SIZE_IN_BYTES),
        ...(every(largeEvery, index) ? { bundle: value(largeSizeInBytes) } : {}),
      },
    },
  };
}

function every(interval: number | undefined, index: number): boolean {
  return interval !== undefined && index % interval === 0;
}

/** @returns false when it was there already */
async function create(client: ApiClient, path: string, object: NamedObject): Promise<boolean> {
  const { status, body } = await client.call('POST', path, object);
  if (status === 201) return true;
  if (status === 409) return false;
  // A refusal is a Status object: it names the object and the reason, not the value.
  throw new Error(`${object.metadata.name} could not be made at ${path}: ${status} ${body}`);
}

function clientOf(kubeconfig: string): ApiClient {
  const config = new KubeConfig();
  config.loadFromString(kubeconfig);
  const cluster = config.getCurrentCluster();
  const user = config.getCurrentUser();
  if (cluster?.caData === undefined || user?.certData === undefined || user.keyData === undefined) {
    throw new Error('Seeding needs a kubeconfig with an embedded authority and an embedded client certificate.');
  }
  const pem = (data: string): string => Buffer.from(data, 'base64').toString();
  return createApiClient(
    cluster.server,
    { caPem: pem(cluster.caData), certPem: pem(user.certData), keyPem: pem(user.keyData) },
    IN_FLIGHT,
  );
}
