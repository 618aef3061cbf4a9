/**
 * recover-key on other clusters than that of recover-key.test.ts: KMS v1 with access policies; several API servers with a private vault. Each
 * loses its key so that an API server really cannot read Secrets, and every Secret has the value that it had.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { V1Secret } from '@kubernetes/client-node';
import type { OperationAnswer } from '../../cli/api-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { grantByHand, inNetworkOf } from '../support/by-hand';
import { ask, nameOf, pass, setEnabled, valuesNow } from '../support/retirement';
import { control, makeCluster, people, until, vaultNameOf } from '../support/stack';

const SECRETS = 12;
const by = people();

/** Starts the API servers with nothing cached. @returns codes of the findings about keys */
async function lost(cluster: SandboxClusterFacts): Promise<string[]> {
  await control().restartServers(nameOf(cluster));
  await expect(valuesNow(cluster)).rejects.toThrow();
  const { findings } = await by.reader.encryption(cluster.resourceId);
  return findings.map(({ code }) => code).filter((code) => OF_KEYS.includes(code));
}

/** What an inspection finds of keys that do not work, whether or not an operation repairs it. */
const OF_KEYS: readonly string[] = ['KmsUnhealthy', 'KeyUnusable', 'IdentityLacksKeyAccess'];

/** @returns the types of the repairs, once every Secret is proven and has the value that it had */
async function recovered(cluster: SandboxClusterFacts, values: Map<string, V1Secret['data']>): Promise<string[]> {
  const asked = await ask(by.requester, cluster, 'recover-key');
  if (asked.plan === null) throw new Error(JSON.stringify(asked.reason));
  await pass(by, asked, 'approve');
  const over = await until(by.requester, asked.id, ({ status, evidence, progressText }) => {
    if (status === 'Blocked') throw new Error(progressText);
    return evidence !== null;
  });
  expect(over).toMatchObject({
    status: 'Succeeded',
    result: { currentKeyId: cluster.keyId, proof: { secrets: SECRETS, unproven: 0, convergenceHeld: true } },
  });
  expect(await valuesNow(cluster)).toEqual(values);
  const { findings } = await by.reader.encryption(cluster.resourceId);
  expect(findings.filter(({ repair }) => repair === 'recover-key')).toEqual([]);
  return repairsOf(asked);
}

function repairsOf({ plan }: OperationAnswer): string[] {
  const types = plan?.steps.map(({ type }) => type) ?? [];
  return types.slice(1, types.indexOf('await-kms'));
}

describe('a cluster with KMS v1 and a vault with access policies', () => {
  const name = 'recovered-v1';
  let cluster: SandboxClusterFacts;
  let values: Map<string, V1Secret['data']>;

  beforeAll(async () => {
    cluster = await makeCluster(name, { count: SECRETS, immutableEvery: 5 }, { kubernetesVersion: '1.26' });
    values = await valuesNow(cluster);
  });

  it('gets back the access policy that its identity lost', async () => {
    await grantByHand(cluster, { name: vaultNameOf(name), permissions: 'access-policy' }, false);
    expect(await lost(cluster)).toEqual(['KmsUnhealthy', 'IdentityLacksKeyAccess']);
    expect(await recovered(cluster, values)).toEqual(['grant-key-access']);
  });

  it('gets back its key version that was disabled', async () => {
    await setEnabled(cluster.keyId, false);
    expect(await lost(cluster)).toEqual(['KmsUnhealthy', 'KeyUnusable']);
    expect(await recovered(cluster, values)).toEqual(['enable-key-version']);
  });
});

describe('a cluster with two API servers and a private vault', () => {
  const name = 'recovered-private';
  let cluster: SandboxClusterFacts;
  let values: Map<string, V1Secret['data']>;

  beforeAll(async () => {
    cluster = await makeCluster(
      name,
      { count: SECRETS, immutableEvery: 5 },
      { vaultAccess: 'Private', vaultPermissions: 'rbac', apiServers: 2 },
    );
    values = await valuesNow(cluster);
  });

  it('gets back the role that its identity lost: ARM gives it, from wherever Keyturn runs', async () => {
    await grantByHand(cluster, { name: vaultNameOf(name), permissions: 'rbac' }, false);
    expect(await lost(cluster)).toEqual(['KmsUnhealthy', 'IdentityLacksKeyAccess']);
    expect(await recovered(cluster, values)).toEqual(['grant-key-access']);
  });

  it('is refused the repair of a key version from where the vault does not answer, with what to do there', async () => {
    await inNetworkOf(cluster.keyId, () => setEnabled(cluster.keyId, false));
    expect(await lost(cluster)).toEqual(['KmsUnhealthy', 'KeyUnusable']);
    const asked = await ask(by.requester, cluster, 'recover-key');
    expect(asked).toMatchObject({
      status: 'Failed',
      reason: { code: 'VaultNotReachable', detail: expect.stringMatching(/set-attributes .* --enabled true/) },
    });
  });

  it('gets it back by a Keyturn in the network of the vault', async () => {
    const repairs = await inNetworkOf(cluster.keyId, () => recovered(cluster, values));
    expect(repairs).toEqual(['enable-key-version']);
  });
});
