/** Steps that several kinds begin with. */
import { describeState } from '../encryption';
import { rewriteInPlace } from '../plan/transition';
import type { PlanStep } from '../plan/steps';
import { shortKeyId } from '../resource-ids';
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

/** The gate before Secrets become plaintext at rest. */
export function plaintextGate({ policy: { approvalsRequired } }: Pick<PlanFacts<unknown>, 'policy'>): PlanStep {
  return {
    id: 'approve-plaintext',
    type: 'gate',
    gate: 'plaintext',
    approvals: approvalsRequired,
    title: `Wait for approval of plaintext at rest by ${people(approvalsRequired)} other than the requester`,
    reason: 'From the next step on, etcd and its backups hold Secrets in plaintext.',
  };
}

/** K2: nothing is switched while Secrets may be under something older than the current state. */
export function proveCurrentUnlessProven({ from, proven, perSecond }: PlanFacts<unknown>): PlanStep[] {
  if (proven) return [];
  const reason =
    'No earlier operation proved it. AKS holds two keys only: switching twice while Secrets are still under an older key makes the cluster unusable (Azure/kubernetes-kms#291).';
  return rewriteInPlace('current', from, reason, { perSecond });
}

/** A new version of a key, with the reason why. */
export function newVersionOf(like: string): PlanStep {
  return {
    id: 'create-key-version',
    type: 'create-key-version',
    like,
    title: `Create a new version of key ${shortKeyId(like).split('/').slice(0, 2).join('/')}`,
    reason:
      'The request names no key. The new version gets the type, size and permitted operations of the current one; the current one stays enabled.',
  };
}

/** `aks1` and what it encrypts with, for summaries. */
export function clusterAndState({ cluster, from }: Pick<PlanFacts<unknown>, 'cluster' | 'from'>): string {
  return `${cluster.resourceId.split('/').at(-1)} from ${describeState(from)}`;
}

function people(count: number): string {
  return count === 1 ? 'one person' : `${count} people`;
}
