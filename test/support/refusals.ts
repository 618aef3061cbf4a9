/**
 * For each code that a rule of a kind can answer with: how a cluster or a request comes to be so. A new rule is one row here, or one
 * line among those that the sandbox cannot bring about.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ErrorCode } from '../../domain/errors';
import { mustParseKeyId } from '../../domain/resource-ids';
import { connectAzure } from '../../launch/azure-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { putByHand } from './kinds';
import { control, testStack } from './stack';
import { keyClient } from './vault';

/** What the rows work with. */
export interface RefusalWorld {
  /** A cluster with KMS on, and one with KMS off. */
  readonly on: SandboxClusterFacts;
  readonly off: SandboxClusterFacts;
}

/** How a request comes to be refused with one code. */
export interface Refusal {
  /** Brings the clusters or keys there. @returns what takes it back */
  readonly arrange?: (world: RefusalWorld) => Promise<() => Promise<void>>;
  /** The cluster that is asked for; the one that the kind is for when absent. */
  readonly cluster?: (world: RefusalWorld) => { readonly resourceId: string };
  /** The key that is asked for; one that is fine, where the kind takes one, when absent. */
  readonly keyId?: (world: RefusalWorld) => string | Promise<string>;
}

/** Codes that a rule can answer with and that the sandbox cannot bring about. Unit tests of the rules have them. */
export const NOT_IN_SANDBOX: Readonly<Partial<Record<ErrorCode, string>>> = {
  ClusterVersionUnsupported: 'Its ARM takes the versions that it can run, and no other.',
  KeyTypeUnsupported: 'Its vaults make RSA keys only.',
};

const DAY_IN_MS = 86_400_000;
const inDays = (days: number): Date => new Date(Date.now() + days * DAY_IN_MS);

/** How each of the others is brought about. */
export const REFUSALS: Readonly<Partial<Record<ErrorCode, Refusal>>> = {
  ClusterNotFound: { cluster: ({ on }) => ({ resourceId: `${on.resourceId}-that-is-not-there` }) },
  ClusterNotRunning: {
    arrange: (world) =>
      onBoth(world, async (cluster) => {
        await act(cluster, 'stop');
        return () => act(cluster, 'start');
      }),
  },
  ClusterNotSucceeded: {
    async arrange({ on, off }) {
      await control().setFault('hold-operation', { path: '/managedclusters/refusals-' });
      for (const { resourceId } of [on, off]) await request('PATCH', resourceId, { tags: { owner: 'somebody' } });
      return async () => {
        await control().clearFault('hold-operation');
        for (const { resourceId } of [on, off]) await settled(resourceId);
      };
    },
  },
  PlatformManagedEncryption: {
    arrange: (world) =>
      onBoth(world, (cluster) =>
        changed(cluster, (properties) => ({
          ...properties,
          securityProfile: {
            ...properties.securityProfile,
            kubernetesResourceObjectEncryptionProfile: { infrastructureEncryption: 'Enabled' },
          },
        })),
      ),
  },
  LocalAccountsDisabled: {
    arrange: (world) =>
      onBoth(world, (cluster) => changed(cluster, (properties) => ({ ...properties, disableLocalAccounts: true }))),
  },
  // AKS takes KMS with a user-assigned identity only: so it is the cluster with KMS off, for every kind.
  ClusterIdentityUnsupported: {
    arrange: ({ off }) => changed(off, (properties) => properties, { type: 'SystemAssigned' }),
    cluster: ({ off }) => off,
  },
  KmsNotEnabled: { cluster: ({ off }) => off },
  KmsAlreadyEnabled: { cluster: ({ on }) => on },
  CurrentKeyUnusable: {
    async arrange({ on }) {
      const { name, version } = mustParseKeyId(on.keyId);
      const expires = (expiresOn: Date): Promise<unknown> =>
        keyClient(on.keyId).updateKeyProperties(name, version, { expiresOn });
      await expires(inDays(0.5));
      return async () => void (await expires(inDays(3_650)));
    },
  },
  KeyForeign: { keyId: ({ off }) => off.keyId },
  KeyNotFound: { keyId: ({ on }) => on.keyId.replace(/[0-9a-f]{32}$/, '0'.repeat(32)) },
  KeyAlreadyCurrent: { cluster: ({ on }) => on, keyId: ({ on }) => on.keyId },
  KeyDisabled: { keyId: ({ on }) => anotherVersion(on, { enabled: false }) },
  KeyExpired: { keyId: ({ on }) => anotherVersion(on, { expiresOn: inDays(-1) }) },
  KeyExpiresSoon: { keyId: ({ on }) => anotherVersion(on, { expiresOn: inDays(0.5) }) },
  KeyNotYetValid: { keyId: ({ on }) => anotherVersion(on, { notBefore: inDays(1) }) },
  KeyOperationsMissing: { keyId: ({ on }) => anotherVersion(on, { keyOps: ['sign', 'verify'] }) },
};

async function anotherVersion(
  { keyId }: SandboxClusterFacts,
  options: Parameters<ReturnType<typeof keyClient>['createKey']>[2],
): Promise<string> {
  const { id } = await keyClient(keyId).createKey(mustParseKeyId(keyId).name, 'RSA', options);
  return id ?? '';
}

async function onBoth(
  { on, off }: RefusalWorld,
  arrange: (cluster: SandboxClusterFacts) => Promise<() => Promise<void>>,
): Promise<() => Promise<void>> {
  const back = [await arrange(on), await arrange(off)];
  return async () => {
    for (const one of back) await one();
  };
}

type Properties = Record<string, unknown> & { readonly securityProfile?: Record<string, unknown> };

async function changed(
  { resourceId }: SandboxClusterFacts,
  change: (properties: Properties) => Record<string, unknown>,
  identity?: Record<string, unknown>,
): Promise<() => Promise<void>> {
  let before: Record<string, unknown> = {};
  await putByHand(resourceId, (body) => {
    before = body;
    return { ...body, properties: change(body.properties), ...(identity === undefined ? {} : { identity }) };
  });
  return () => putByHand(resourceId, () => before);
}

const State = z.object({ properties: z.object({ provisioningState: z.string() }) });

async function settled(resourceId: string): Promise<void> {
  while (State.parse(await request('GET', resourceId)).properties.provisioningState !== 'Succeeded') await sleep(100);
}

async function act({ resourceId }: SandboxClusterFacts, action: 'start' | 'stop'): Promise<void> {
  await request('POST', `${resourceId}/${action}`);
  await settled(resourceId);
}

/** One request to ARM, past Keyturn. @returns the body of the answer */
export async function request(method: 'GET' | 'PATCH' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const azure = await connectAzure(testStack().sandbox);
  try {
    return (await azure.request(method, `https://management.azure.com${path}?api-version=2026-04-01`, body)).body;
  } finally {
    await azure.close();
  }
}
