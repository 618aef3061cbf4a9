/**
 * recover-key, on one cluster that loses its key for one reason after another: an inspection names the reason, the API server really
 * cannot read Secrets, the operation repairs it, and every Secret has the value that it had.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { mustParseKeyId } from '../../domain/resource-ids';
import { armDelete, armPut } from '../../launch/azure-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import type { V1Secret } from '@kubernetes/client-node';
import { asAdministrator, grantByHand, tagByHand } from '../support/by-hand';
import { kubeApi } from '../support/kube';
import { ask, nameOf, pass, setEnabled, valuesNow } from '../support/retirement';
import { control, ended, makeCluster, people, testStack, until, vaultNameOf } from '../support/stack';
import { keyClient } from '../support/vault';

const SECRETS = 12;
const NAME = 'recovered';
const PAST = new Date(Date.now() - 3_600_000);

/** One way in which the cluster loses its key. */
interface Row {
  readonly lost: string;
  readonly breakIt: () => Promise<unknown>;
  /** What an inspection says: codes of findings that recover-key repairs. */
  readonly finds: readonly string[];
  /** What the API server says of its KMS, in our words. */
  readonly says: RegExp;
  /** Steps before the wait for KMS. */
  readonly repairs: readonly string[];
}

describe('a cluster that lost its key', () => {
  const by = people();
  let cluster: SandboxClusterFacts;
  let values: Map<string, V1Secret['data']>;
  let current = '';

  beforeAll(async () => {
    cluster = await makeCluster(NAME, { count: SECRETS, immutableEvery: 5 }, { vaultPermissions: 'rbac' });
    values = await valuesNow(cluster);
    // So that there is a key in the second slot, which only the ledger knows.
    const asked = await ask(by.requester, cluster, 'rotate-key');
    await pass(by, asked, 'approve');
    current = (await ended(by.requester, asked.id)).result?.currentKeyId ?? '';
  });

  const group = (): string => `/subscriptions/${testStack().sandbox.subscriptionId}/resourceGroups/keyturn`;
  const vaultId = (): string => `${group()}/providers/Microsoft.KeyVault/vaults/${vaultNameOf(NAME)}`;
  const identityId = (): string => `${group()}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${NAME}`;
  const expire = async (keyId: string): Promise<void> => {
    const { name, version } = mustParseKeyId(keyId);
    await keyClient(keyId).updateKeyProperties(name, version, { expiresOn: PAST });
  };
  const closeVault = (): Promise<unknown> =>
    asAdministrator((request) =>
      request('PATCH', `https://management.azure.com${vaultId()}?api-version=2026-02-01`, {
        properties: { publicNetworkAccess: 'Disabled' },
      }),
    );
  const failCluster = async (): Promise<void> => {
    await control().setFault('fail-operation', { path: `/managedClusters/${NAME}` });
    await tagByHand(cluster, { owner: 'a person' });
  };

  const rows: readonly Row[] = [
    {
      lost: 'because its key version was disabled, and is Failed in Azure',
      breakIt: async () => {
        await setEnabled(current, false);
        await failCluster();
      },
      finds: ['KeyUnusable'],
      says: /KeyDisabled/,
      repairs: ['enable-key-version', 'reconcile-cluster'],
    },
    {
      lost: 'because the key versions of both slots expired',
      breakIt: async () => {
        await expire(current);
        await expire(cluster.keyId);
      },
      finds: ['KeyUnusable', 'KeyUnusable'],
      says: /KeyExpired/,
      repairs: ['extend-key-expiry', 'extend-key-expiry'],
    },
    {
      lost: 'because its key was deleted',
      breakIt: async () => {
        await (await keyClient(current).beginDeleteKey(mustParseKeyId(current).name)).pollUntilDone();
      },
      finds: ['KeyUnusable'],
      says: /KeyNotFound/,
      // A version of each slot.
      repairs: ['recover-deleted-key', 'enable-key-version', 'enable-key-version'],
    },
    {
      lost: 'because its identity lost the role',
      breakIt: () => grantByHand(cluster, { name: vaultNameOf(NAME), permissions: 'rbac' }, false),
      finds: ['IdentityLacksKeyAccess'],
      says: /ForbiddenByRbac/,
      repairs: ['grant-key-access'],
    },
    {
      lost: 'because the vault was closed',
      breakIt: closeVault,
      finds: ['VaultClosed'],
      says: /ForbiddenByConnection/,
      repairs: ['set-vault-network'],
    },
    {
      lost: 'because the vault was deleted',
      breakIt: () => asAdministrator((request) => armDelete(request, vaultId())),
      finds: ['VaultDeleted'],
      says: /VaultNotFound/,
      repairs: ['recover-vault', 'grant-key-access'],
    },
    {
      lost: 'because its identity was deleted and made again',
      breakIt: () =>
        asAdministrator(async (request) => {
          await armDelete(request, identityId());
          await armPut(request, identityId(), { location: 'westeurope' });
        }),
      finds: ['IdentityReplaced', 'IdentityLacksKeyAccess'],
      says: /Unauthorized/,
      repairs: ['grant-key-access', 'reconcile-cluster'],
    },
    {
      lost: 'because its identity was deleted',
      breakIt: () => asAdministrator((request) => armDelete(request, identityId())),
      finds: ['IdentityReplaced'],
      says: /Unauthorized/,
      repairs: ['restore-identity', 'grant-key-access', 'reconcile-cluster'],
    },
  ];

  it.each(rows)('$lost, gets it back', async ({ breakIt, finds, says, repairs }) => {
    await breakIt();
    await control().restartServers(nameOf(cluster));
    await expect(valuesNow(cluster)).rejects.toThrow();
    const [secret = ''] = values.keys();
    const [namespace = '', name = ''] = secret.split('/');
    await expect(kubeApi(cluster).secret(namespace, name)).rejects.toMatchObject({ code: 500 });
    const { findings } = await by.reader.encryption(cluster.resourceId);
    const repaired = findings.filter(({ repair }) => repair === 'recover-key');
    expect(repaired.map(({ code }) => code)).toEqual(['KmsUnhealthy', ...finds]);
    expect(repaired[0]?.detail).toMatch(says);

    const asked = await ask(by.requester, cluster, 'recover-key');
    expect(asked.plan?.steps.map(({ type }) => type)).toEqual([
      'gate',
      ...repairs,
      'await-kms',
      'converge',
      'prove',
      'record-proof',
    ]);
    await pass(by, asked, 'approve');
    const over = await until(by.requester, asked.id, ({ status, evidence, progressText }) => {
      if (status === 'Blocked') throw new Error(progressText);
      return evidence !== null;
    });
    expect(over).toMatchObject({
      status: 'Succeeded',
      result: { currentKeyId: current, proof: { secrets: SECRETS, unproven: 0, convergenceHeld: true } },
    });
    expect(await valuesNow(cluster)).toEqual(values);
    expect((await by.reader.encryption(cluster.resourceId)).findings).toEqual([]);
  });

  it('and has it again, has nothing to recover', async () => {
    const asked = await ask(by.requester, cluster, 'recover-key');
    expect(asked).toMatchObject({
      status: 'Failed',
      reason: { code: 'NothingToRecover', detail: expect.stringContaining('say that their KMS works') },
    });
  });
});
