/** Steps that several kinds begin with. */
import { z } from 'zod';
import { describeState } from '../encryption';
import type { AzureObservation, KeyLookup } from '../observed';
import { rewriteInPlace } from '../plan/transition';
import type { KeyExpiry, PlanStep } from '../plan/steps';
import { shortKeyId, resourceName } from '../resource-ids';
import { minutesAfter, secondsBetween } from '../times';
import type { PlanFacts } from './kind';

/** The gate that every plan begins with. */
export function startGate(
  { policy: { approvalsRequired } }: Pick<PlanFacts<unknown>, 'policy'>,
  why: string,
): PlanStep {
  return {
    id: 'approve',
    type: 'gate',
    gate: 'start',
    approvals: approvalsRequired,
    title: `Wait for approval by ${people(approvalsRequired)} other than the requester`,
    reason: why,
  };
}

/** The gate before a cluster is upgraded, which cannot be undone. */
export function upgradeGate({ policy: { approvalsRequired } }: Pick<PlanFacts<unknown>, 'policy'>): PlanStep {
  return gate('upgrade', approvalsRequired, {
    title: 'the upgrade of Kubernetes',
    reason: 'AKS cannot go back to an older Kubernetes version.',
  });
}

/** The gate before API Server VNet Integration is turned on, which cannot be undone. */
export function vnetIntegrationGate({ policy: { approvalsRequired } }: Pick<PlanFacts<unknown>, 'policy'>): PlanStep {
  return gate('vnet-integration', approvalsRequired, {
    title: 'the stop and start of the cluster for API Server VNet Integration',
    reason:
      'It cannot be turned off again. The cluster is stopped and started: every workload and the API are down for minutes.',
  });
}

/** The gate before a key is retired. @param key in words */
export function deletionGate(
  { policy: { approvalsRequired } }: Pick<PlanFacts<unknown>, 'policy'>,
  key: string,
): PlanStep {
  return gate('deletion', approvalsRequired, {
    title: `the retirement of ${key}`,
    reason: 'What is stored under the key, such as a backup of etcd, cannot be read without it.',
  });
}

/** The gate before Secrets become plaintext at rest. */
export function plaintextGate({ policy: { approvalsRequired } }: Pick<PlanFacts<unknown>, 'policy'>): PlanStep {
  return gate('plaintext', approvalsRequired, {
    title: 'plaintext at rest',
    reason: 'From the first change of the cluster on, etcd and its backups hold Secrets in plaintext.',
  });
}

function gate(
  of: 'plaintext' | 'upgrade' | 'deletion' | 'vnet-integration',
  approvals: number,
  { title, reason }: { readonly title: string; readonly reason: string },
): PlanStep {
  return {
    id: `approve-${of}`,
    type: 'gate',
    gate: of,
    approvals,
    title: `Wait for approval of ${title} by ${people(approvals)} other than the requester`,
    reason,
  };
}

/** K2: nothing is switched while Secrets may be under something older than the current state. */
export function proveCurrentUnlessProven({ from, proven, perSecond }: PlanFacts<unknown>): PlanStep[] {
  if (proven) return [];
  const reason =
    'No earlier operation proved it. AKS holds two keys only: switching twice while Secrets are still under an older key makes the cluster unusable (Azure/kubernetes-kms#291).';
  return rewriteInPlace('current', from, reason, { perSecond });
}

/** A new version of a key, with the reason why. @param id unique in the plan */
export function newVersionOf(like: string, expiry: KeyExpiry, id = 'create-key-version'): PlanStep {
  return {
    id,
    type: 'create-key-version',
    like,
    expiry,
    title: `Create a new version of key ${shortKeyId(like).split('/').slice(0, 2).join('/')}`,
    reason: `The request names no key. The new version gets the type, size and permitted operations of ${shortKeyId(like)}, which stays enabled. ${expiryText(expiry)}`,
  };
}

/** The member `expiresOn` of requests that make key versions. */
export const expiresOn = z.iso.datetime().optional().meta({
  description:
    'When a key version that is made expires. Without it, it lives as long as the version that it is like; without an expiry there, for ever.',
});

/** The member `soakInSeconds` of requests that retire a key. */
export const soakInSeconds = z
  .int()
  .min(0)
  .max(30 * 86_400)
  .default(86_400)
  .meta({
    description:
      'How long the key version stays disabled before its key object is deleted. In this time Keyturn holds no lock, and the version can be enabled again. Default: a day.',
  });

/** The member `vaultAccess` of requests that name a key of any vault. */
export const vaultAccess = z.enum(['Public', 'Private']).default('Public').meta({
  description:
    'How the API servers reach the vault of the key: on its public address, which must be open to all networks, or over a private endpoint that AKS makes. `Private` needs API Server VNet Integration.',
});

/** The part of a state that says how its vault is reached. @throws Error when private access was planned without a vault */
export function accessTo(
  { identityAccess }: Pick<AzureObservation, 'identityAccess'>,
  access: 'Public' | 'Private',
): { readonly access: 'Public' } | { readonly access: 'Private'; readonly vaultId: string } {
  if (access === 'Public') return { access };
  if (identityAccess?.vault.known !== true) throw new Error('Private access was planned without its vault.');
  return { access, vaultId: identityAccess.vault.value.vaultId };
}

/** When a key version that is made expires: as asked for, or after the lifetime of the one that it is like. */
export function expiryOf(asked: string | undefined, like: KeyLookup | undefined): KeyExpiry {
  if (asked !== undefined) return { at: minutesAfter(asked, 0) };
  if (!like?.found || like.key.expiresOn === undefined || like.key.createdOn === undefined) return null;
  const afterSeconds = secondsBetween(like.key.createdOn, like.key.expiresOn);
  return afterSeconds > 0 ? { afterSeconds } : null;
}

function expiryText(expiry: KeyExpiry): string {
  if (expiry === null) return 'It does not expire.';
  if ('at' in expiry) return `It expires on ${expiry.at}.`;
  return `It expires ${Math.round(expiry.afterSeconds / 86_400)} days after it is made, as the other one did.`;
}

/** `aks1` and what it encrypts with, for summaries. */
export function clusterAndState({ cluster, from }: Pick<PlanFacts<unknown>, 'cluster' | 'from'>): string {
  return `${resourceName(cluster.resourceId)} from ${describeState(from)}`;
}

function people(count: number): string {
  return count === 1 ? 'one person' : `${count} people`;
}

/** A member of requests that names a subnet. @param description of the member */
export const subnetId = (description: string): z.ZodOptional<z.ZodString> =>
  z
    .string()
    .max(400)
    .regex(
      /^\/subscriptions\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\/resourceGroups\/[-\w.()]{1,90}\/providers\/Microsoft\.Network\/virtualNetworks\/[-\w.]{2,64}\/subnets\/[-\w.]{1,80}$/i,
      { error: 'Expected the ARM resource id of a subnet.' },
    )
    .optional()
    .meta({ description });
