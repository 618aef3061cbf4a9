/**
 * Secrets that block a step, and their acceptance: an approver may decide, with a reason, that an operation ends although
 * some named Secrets are not under the new key.
 *
 * That is safe while the key that these Secrets are under stays in its slot. So an approver may accept after a rotation,
 * never before a rotation that would evict a key, and a generation with accepted Secrets is not proven (K2, K5). The next
 * rotation proves first.
 */
import { z } from 'zod';
import { digestOf } from './canonical';
import type { Fault } from './errors';
import { Actor, approverFault } from './people';
import { OF_ONE_SECRET, RefusedSecret } from './refusal';
import { Signed } from './trust/statements';

/** The Secrets that a blocked step waits for. */
export const BlockedSecrets = z.object({
  /** All of them. `secrets` names those that there is room for; the report of the refused Secrets has all. */
  count: z.int(),
  secrets: z.array(RefusedSecret),
  /** `sha256:…` of the names and reasons: an approver accepts exactly this list. */
  digest: z.string(),
  /** Whether an approver may accept it here. */
  acceptable: z.boolean(),
});
/** The Secrets that a blocked step waits for. */
export type BlockedSecrets = z.infer<typeof BlockedSecrets>;

/** A Secret that was accepted as it is: the answers of the API servers are in the evidence. */
export const AcceptedSecret = RefusedSecret.pick({ namespace: true, name: true, reason: true });
/** A Secret that was accepted as it is. */
export type AcceptedSecret = z.infer<typeof AcceptedSecret>;

/** An acceptance that counts. */
export const Acceptance = z.object({
  /** The step that was blocked. It holds for the transition of that step only. */
  step: z.string(),
  by: Actor,
  roles: z.array(z.string().max(200)).max(100),
  /** Why, in the person's words. */
  reason: z.string(),
  digest: z.string(),
  secrets: z.array(AcceptedSecret),
  ...Signed.shape,
});
/** An acceptance that counts. */
export type Acceptance = z.infer<typeof Acceptance>;

/** A person's request to accept, as the API passes it on after it verified the person's token. */
export const AcceptanceDecision = z.object({
  by: Actor,
  roles: z.array(z.string().max(200)).max(100),
  digest: z.string().max(200),
  reason: z.string().trim().min(1).max(500),
  ...Signed.shape,
});
/** A person's request to accept. */
export type AcceptanceDecision = z.infer<typeof AcceptanceDecision>;

/** Makes the list, with its digest. A list that does not name every Secret cannot be accepted. */
export function blockedSecrets(
  count: number,
  secrets: readonly RefusedSecret[],
  options: { readonly acceptable: boolean },
): BlockedSecrets {
  const names = secrets.map(({ namespace, name, reason }) => [namespace, name, reason]);
  return {
    count,
    secrets: [...secrets],
    digest: digestOf({ count, names }),
    acceptable:
      options.acceptable && count === secrets.length && secrets.every(({ reason }) => OF_ONE_SECRET.includes(reason)),
  };
}

/** What an acceptance of a list holds for. */
export function acceptedSecrets({ secrets }: Pick<BlockedSecrets, 'secrets'>): AcceptedSecret[] {
  return secrets.map(({ namespace, name, reason }) => ({ namespace, name, reason }));
}

/** The acceptance, if it was given in the transition that a step belongs to. */
export function acceptanceFor(acceptance: Acceptance | null, step: string): Acceptance | null {
  const transitionOf = (id: string): string => id.split('.')[0] ?? id;
  return acceptance !== null && transitionOf(acceptance.step) === transitionOf(step) ? acceptance : null;
}

/** Whether every Secret that is refused now was accepted, for the same reason. */
export function isAccepted(acceptance: Acceptance | null, count: number, secrets: readonly RefusedSecret[]): boolean {
  if (acceptance === null || count !== secrets.length) return count === 0;
  return secrets.every((secret) =>
    acceptance.secrets.some(
      ({ namespace, name, reason }) =>
        namespace === secret.namespace && name === secret.name && reason === secret.reason,
    ),
  );
}

/** Why an acceptance does not count; undefined when it does. */
export function acceptanceFault(
  decision: Omit<AcceptanceDecision, keyof Signed>,
  state: { readonly requestedBy: Actor; readonly blocked: BlockedSecrets | null },
): Fault | undefined {
  const { by, roles, digest } = decision;
  const unfit = approverFault(by, roles, {
    requester: { is: state.requestedBy, instead: 'accept what it leaves' },
  });
  if (unfit) return unfit;
  if (!state.blocked) {
    return { code: 'NothingToAccept', detail: 'The operation is not blocked by Secrets that could be accepted.' };
  }
  if (!state.blocked.acceptable) {
    return {
      code: 'NothingToAccept',
      detail:
        'These Secrets cannot be accepted: their key would leave its slot, there are too many to name, or the reason lies in the API server and not in the Secret. Fix the cause, then retry.',
    };
  }
  if (digest !== state.blocked.digest) {
    return {
      code: 'BlockedListChanged',
      detail: `The current list has the digest ${state.blocked.digest}, not ${digest}. Read the operation again, then decide.`,
    };
  }
  return undefined;
}
