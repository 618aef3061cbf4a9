/** What tests of retirements do: ask and approve, change the key in the vault, restart API servers. */
import { randomUUID } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import type { ApiClient, OperationAnswer } from '../../cli/api-client';
import { isFinal } from '../../domain/operation';
import { mustParseKeyId } from '../../domain/resource-ids';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { kubeApi } from './kube';
import { control, until, type people } from './stack';
import { keyClient, keyVersions } from './vault';

type People = Pick<ReturnType<typeof people>, 'requester' | 'approver1' | 'approver2'>;

/** The name of a cluster. */
export const nameOf = ({ resourceId }: SandboxClusterFacts): string => resourceId.split('/').at(-1) ?? '';

/** Asks for an operation and waits for its plan. */
export async function ask(
  requester: ApiClient,
  { resourceId }: Pick<SandboxClusterFacts, 'resourceId'>,
  kind: string,
  parameters: Record<string, unknown> = {},
): Promise<OperationAnswer> {
  const body = { kind, cluster: resourceId, parameters, change: { number: 'CHG-RETIRE' } };
  const { operation } = await requester.create(body, randomUUID());
  return await until(requester, operation.id, ({ offers, status }) => offers.includes('approve') || isFinal(status));
}

/** Waits until the operation asks for the approval of a gate, and approves it. */
export async function pass(
  { requester, approver1, approver2 }: People,
  asked: OperationAnswer,
  gate: string,
): Promise<void> {
  const { id, plan } = asked;
  await until(requester, id, ({ status, steps, reason, progressText }) => {
    if (status === 'Blocked') throw new Error(`Blocked: ${reason?.detail ?? ''}\n${progressText}`);
    return status === 'AwaitingApproval' && steps.some((step) => step.id === gate && step.status === 'running');
  });
  await (gate === 'approve' ? approver1 : approver2).approve(id, plan?.digest ?? '', gate);
}

/** Waits until a step is at work. */
export const at = (requester: ApiClient, id: string, step: string): Promise<OperationAnswer> =>
  until(requester, id, ({ steps, status, progressText }) => {
    if (status === 'Blocked') throw new Error(`Blocked.\n${progressText}`);
    return steps.some((one) => one.id === step && one.status === 'running');
  });

/** Waits until the operation is blocked. */
export const blocked = (requester: ApiClient, id: string): Promise<OperationAnswer> =>
  until(requester, id, ({ status }) => status === 'Blocked');

/** `az keyvault key create`: keys of other objects in the vault of a cluster. */
export async function otherKeys({ keyId }: SandboxClusterFacts): Promise<{ keyId: string; nextKeyId: string }> {
  const make = async (name: string): Promise<string> => (await keyClient(keyId).createRsaKey(name)).id ?? '';
  return { keyId: await make('etcd-b'), nextKeyId: await make('etcd-c') };
}

/** `az keyvault key set-attributes --enabled`. */
export async function setEnabled(keyId: string, enabled: boolean): Promise<void> {
  const { name, version } = mustParseKeyId(keyId);
  await keyClient(keyId).updateKeyProperties(name, version, { enabled });
}

/** Whether the vault has a key version enabled. */
export async function enabledNow(keyId: string): Promise<boolean | undefined> {
  return (await keyVersions(keyId)).find((version) => version.keyId === keyId)?.enabled;
}

/** Every Secret of the cluster with its value. @throws Error when the API server cannot read one */
export async function valuesNow(cluster: SandboxClusterFacts): Promise<Map<string, V1Secret['data']>> {
  const { items } = await kubeApi(cluster).core.listSecretForAllNamespaces();
  return new Map(
    items
      .filter(({ metadata }) => !(metadata?.name ?? '').startsWith('keyturn-'))
      .map(({ metadata, data }) => [`${metadata?.namespace}/${metadata?.name}`, data]),
  );
}

/** Stops every API server and starts it again: what they had in memory, keys above all, is gone. */
export const restart = async (cluster: SandboxClusterFacts): Promise<void> =>
  void (await control().snapshot(nameOf(cluster)));

/** Rotates away from the key of the cluster, twice; it is disabled and not deleted. */
export async function replaced(
  by: People,
  cluster: SandboxClusterFacts,
  soakInSeconds: number,
): Promise<OperationAnswer> {
  const asked = await ask(by.requester, cluster, 'replace-key', { ...(await otherKeys(cluster)), soakInSeconds });
  await pass(by, asked, 'approve');
  await pass(by, asked, 'approve-deletion');
  return asked;
}
