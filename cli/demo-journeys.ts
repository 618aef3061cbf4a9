/** The journeys that the demo can show: the cluster that each starts from, and what is asked for. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { makeKey, type SandboxClusterFacts, type SandboxClusterOptions } from '../launch/sandbox-cluster';
import { connectAzure } from '../launch/azure-client';
import { makeCertificate, setSecret } from '../launch/sandbox-objects';
import { groupOf, vaultId } from '../launch/sandbox-vault';
import type { SandboxFacts } from '../launch/sandbox';
import type { KmsScheme } from '../domain/encryption';
import { mustParseKeyId } from '../domain/resource-ids';

/** A journey. */
export interface Journey {
  readonly name: string;
  readonly kind: string;
  /** One sentence, for `--help`. */
  readonly does: string;
  /** Why, in the words of the change-management system. */
  readonly reason: string;
  readonly cluster: Pick<SandboxClusterOptions, 'kubernetesVersion' | 'vaultPermissions'>;
  /** What the cluster encrypts with before the operation, and after it. */
  readonly schemes: { readonly before: KmsScheme; readonly after: KmsScheme };
  /** Makes what the request names, as a key administrator would. @returns the parameters of the request */
  readonly prepare: (facts: SandboxFacts, cluster: SandboxClusterFacts) => Promise<Readonly<Record<string, unknown>>>;
}

/** Long enough to see the step; a soak for production takes days. */
const DEMO_SOAK_IN_SECONDS = 2;

/** All journeys; the first one is the default. */
export const JOURNEYS: readonly [Journey, ...Journey[]] = [
  {
    name: 'rotate',
    kind: 'rotate-key',
    does: 'Rotates the key once. The default.',
    reason: 'Yearly rotation of the encryption key',
    cluster: {},
    schemes: { before: 'kms-v2', after: 'kms-v2' },
    prepare: () => Promise.resolve({}),
  },
  {
    name: 'upgrade',
    kind: 'upgrade-to-kms-v2',
    does: 'Upgrades Kubernetes 1.26 with KMS v1 to 1.27 with KMS v2; the plan has three gates.',
    reason: 'Kubernetes 1.26 and KMS v1 go out of use',
    cluster: { kubernetesVersion: '1.26' },
    schemes: { before: 'kms-v1', after: 'kms-v2' },
    prepare: () => Promise.resolve({}),
  },
  {
    name: 'replace-key',
    kind: 'replace-key',
    does: 'Rotates twice, then disables and deletes the old key; one gate is in the middle.',
    reason: 'The old key must go',
    cluster: {},
    schemes: { before: 'kms-v2', after: 'kms-v2' },
    // Keys of other objects: Key Vault deletes a key object with all its versions, so that a version in use would keep the old one.
    async prepare(facts: SandboxFacts, { keyId }: SandboxClusterFacts): Promise<Readonly<Record<string, unknown>>> {
      const [first, second] = await makeKeys(facts, keyId, ['demo-b', 'demo-c']);
      return { keyId: first, nextKeyId: second, soakInSeconds: DEMO_SOAK_IN_SECONDS };
    },
  },
  {
    name: 'csi',
    kind: 'connect-csi',
    does: 'Connects pods with a vault by workload identity; a pod compares what it mounts with the vault, and another sees a new version.',
    reason: 'A team needs a password, a key and a certificate in its pods',
    cluster: { vaultPermissions: 'rbac' },
    schemes: { before: 'kms-v2', after: 'kms-v2' },
    async prepare(facts: SandboxFacts, { keyId }: SandboxClusterFacts): Promise<Readonly<Record<string, unknown>>> {
      const { vaultUrl, vaultName } = mustParseKeyId(keyId);
      const azure = await connectAzure(facts);
      try {
        await setSecret(azure.request, vaultUrl, { name: 'db-password', value: randomUUID() });
        await makeKey(azure.request, vaultUrl, { name: 'signing' });
        await makeCertificate(azure.request, vaultUrl, 'web');
      } finally {
        await azure.close();
      }
      return {
        mode: 'workload-identity',
        vaultId: vaultId(facts, vaultName),
        namespace: 'default',
        secretProviderClass: 'app-secrets',
        serviceAccount: 'app',
        identity: `${groupOf(facts)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app`,
        rotationPollInterval: '10s',
        objects: [
          { objectName: 'db-password', objectType: 'secret' },
          { objectName: 'signing', objectType: 'key', objectAlias: 'signing.pem' },
          { objectName: 'web', objectType: 'cert', objectAlias: 'web.pem' },
        ],
      };
    },
  },
];

/** Whether the vault lists the key object; a deleted one that can be recovered does not count. */
export async function keyObjectExists(facts: SandboxFacts, keyId: string): Promise<boolean> {
  const { vaultUrl, name } = mustParseKeyId(keyId);
  const azure = await connectAzure(facts);
  try {
    // A list, since a key without an enabled version cannot be read by its name.
    for (let url: string | null = `${vaultUrl}/keys?api-version=2025-07-01`; url !== null;) {
      const { value, nextLink } = KeyPage.parse((await azure.request('GET', url)).body);
      if (value.some(({ kid }) => kid.toLowerCase() === `${vaultUrl}/keys/${name}`.toLowerCase())) return true;
      url = nextLink ?? null;
    }
    return false;
  } finally {
    await azure.close();
  }
}

const KeyPage = z.object({ value: z.array(z.object({ kid: z.string() })), nextLink: z.string().nullish() });

async function makeKeys(facts: SandboxFacts, like: string, names: readonly string[]): Promise<string[]> {
  const azure = await connectAzure(facts);
  try {
    const { vaultUrl } = mustParseKeyId(like);
    return await Promise.all(names.map((name) => makeKey(azure.request, vaultUrl, { name })));
  } finally {
    await azure.close();
  }
}
