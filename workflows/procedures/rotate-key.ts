/**
 * `rotate-key`, step by step. Lay it beside "Rotate the existing keys" of the AKS documents: a new key version is set as
 * the cluster's KMS key, then every Secret is updated. What is added is what makes it provable.
 *
 * The order is the safety property: proven before turned (K2), noted before done (ledger), seen to have switched before
 * rewritten, proven before called done (K5). No key is disabled or deleted here (K1).
 */
import type { Activities, RewriteInput } from '../../activities/contract';
import { isAccepted, type Acceptance } from '../../domain/acceptance';
import type { Baseline, Convergence } from '../../domain/convergence';
import { describeTarget, type KmsTarget } from '../../domain/encryption';
import type { ArmOperation, EvidenceRecord } from '../../domain/evidence';
import type { RotationResult } from '../../domain/operation';
import { StepId, type Plan } from '../../domain/plan';
import { hadNoEffect, isConclusive, type Proof, type RewriteReport } from '../../domain/proof';
import type { RefusedSecret } from '../../domain/refusal';
import { shortKeyId } from '../../domain/resource-ids';
import { long, short } from '../activities';
import { StepBlocked, type Run, type StepOutcome } from '../run';

/** How often a proof is taken up again by itself. */
const PROOF_ROUNDS = 3;

/** What the evidence shows beside the operation itself; filled as the steps go. */
export type EvidenceFacts = {
  -readonly [K in 'armOperations' | 'baseline' | 'convergence' | 'ledger']: EvidenceRecord[K];
};

/** Runs the approved plan. Holds the cluster's lock. */
export async function rotateKey(run: Run, plan: Plan, facts: EvidenceFacts): Promise<RotationResult> {
  const { id: operationId } = run.operation;
  const { cluster, currentKeyId, scheme, ceilingPerSecond: perSecond } = plan;
  run.publish({ keysNeeded: [currentKeyId] });

  if (run.plans(StepId.ProveCurrentKey)) {
    await run.step(StepId.ProveCurrentKey, () => proveCurrentKey(plan, operationId), { interruptible: true });
  }

  const keyId = run.plans(StepId.CreateKeyVersion)
    ? await run.step(StepId.CreateKeyVersion, () => createKeyVersion(currentKeyId, operationId))
    : targetOf(plan);
  const target: KmsTarget = { scheme, keyId };
  const name = shortKeyId(keyId);

  const baseline = await run.step(StepId.TakeBaseline, async (): Promise<StepOutcome<Baseline>> => {
    const value = await short('Write canaries, list R0').takeBaseline({ cluster, operationId });
    return { value, text: `R0 is ${value.baselineRv}; ${value.canaries.length} canaries.` };
  });
  facts.baseline = baseline;

  await run.step(StepId.SetKey, async () => {
    run.publish({ keysNeeded: [currentKeyId, keyId] });
    return await setKey({ cluster, keyId, currentKeyId, operationId, facts });
  });

  let convergence = await run.step(StepId.Converge, () => converge({ cluster, target, operationId, baseline }), {
    interruptible: true,
  });
  facts.convergence = convergence;

  /** After a block, the servers may have changed: see them agree again before anything is judged by them. */
  const inputOf = async ({ anew }: { readonly anew: boolean }): Promise<RewriteInput> => {
    if (anew) {
      convergence = (await converge({ cluster, target, operationId, baseline })).value;
      facts.convergence = convergence;
    }
    return {
      cluster,
      operationId,
      target,
      perSecond,
      bounds: {
        baselineRv: baseline.baselineRv,
        convergedRv: convergence.convergedRv,
        method: convergence.method,
      },
    };
  };

  const rewrite = await run.step(
    StepId.Rewrite,
    async ({ number }): Promise<StepOutcome<RewriteReport>> => {
      const input = await inputOf({ anew: number > 1 });
      const value = await long(`Rewrite every Secret under ${name}`).rewriteSecrets(input);
      refuseUselessRewrite(value, run.operation.acceptance);
      return { value, text: rewriteText(value) };
    },
    { interruptible: true, acceptable: true },
  );

  const proof = await run.step(
    StepId.Prove,
    async ({ number }): Promise<StepOutcome<Proof>> => {
      let anew = number > 1;
      const value = await untilConvergenceHolds(async () => {
        const input = await inputOf({ anew });
        if (anew) await long(`Rewrite what is not proven under ${name}`).rewriteSecrets(input);
        anew = true;
        return await long(`Prove every Secret under ${name}`).proveSecrets({ ...input, convergence });
      });
      refuseIncompleteProof(value, run.operation.acceptance);
      return { value, text: proofText(value) };
    },
    { interruptible: true, acceptable: true },
  );

  await run.step(StepId.VerifyKey, async () => {
    const reported = await short('Read the reported key id').verifyKey({ cluster, keyId });
    // What was accepted, or cannot be known, is not proven: the next rotation proves first, before this key's predecessor leaves
    // its slot (K2).
    facts.ledger = await short('Record what is proven').changeLedger({
      cluster,
      reportedKeyId: keyId,
      changes: isConclusive(proof) ? [{ type: 'proven', keyId, proof: ledgerProof(proof, operationId) }] : [],
    });
    await short('Delete the canaries').removeCanaries({ cluster, operationId });
    const why =
      proof.unproven > 0
        ? `${proof.unproven} Secret(s) were accepted as they are`
        : 'with one provider name of KMS v1 for both keys nobody sees which one a server writes with, and the next rotation rewrites again before it turns';
    const state = isConclusive(proof) ? 'as proven' : `as activated, not proven: ${why}`;
    return { value: reported, text: `Azure reports ${shortKeyId(reported.keyId)}; the ledger has it ${state}.` };
  });

  return { previousKeyId: currentKeyId, currentKeyId: keyId, rewrite, proof };
}

/** K2 for a cluster whose current key nobody proved: the same rewrite and proof, before anything is turned. */
async function proveCurrentKey(
  { cluster, currentKeyId: keyId, scheme, ceilingPerSecond: perSecond }: Plan,
  operationId: string,
): Promise<StepOutcome<Proof>> {
  const target: KmsTarget = { scheme, keyId };
  const proof = await untilConvergenceHolds(async () => {
    const convergence = (await converge({ cluster, target, operationId })).value;
    const input: RewriteInput = {
      cluster,
      operationId,
      target,
      perSecond,
      bounds: { baselineRv: null, convergedRv: convergence.convergedRv, method: convergence.method },
    };
    // No rewrite before: no switch was made, so that nearly all would answer "not stale" twice. The proof asks each once.
    return await long(`Rewrite and prove every Secret under ${shortKeyId(keyId)}`).proveSecrets({
      ...input,
      convergence,
    });
  });
  // Nothing is accepted here: the next turn pushes the older key out of its slot.
  refuseIncompleteProof(proof, null);
  await short('Record the proven generation').changeLedger({
    cluster,
    reportedKeyId: keyId,
    changes: [
      { type: 'reconcile', operationId },
      { type: 'proven', keyId, proof: ledgerProof(proof, operationId) },
    ],
  });
  return { value: proof, text: proofText(proof) };
}

/**
 * API servers are started anew now and then, for reasons of their own. What one wrote before the second look, nobody knows;
 * so they are seen to agree again, and all is proven again. When that goes on, a person is asked.
 */
async function untilConvergenceHolds(round: () => Promise<Proof>): Promise<Proof> {
  for (let left = PROOF_ROUNDS; ; left--) {
    const proof = await round();
    if (proof.convergenceHeld || proof.unproven > 0 || left === 1) return proof;
  }
}

async function createKeyVersion(basedOn: string, operationId: string): Promise<StepOutcome<string>> {
  const { keyId, created } = await short('Make a new key version').createKeyVersion({ operationId, basedOn });
  return {
    value: keyId,
    text: created ? `Made ${shortKeyId(keyId)}.` : `Found ${shortKeyId(keyId)}, made by an earlier try.`,
  };
}

async function setKey(input: {
  readonly cluster: string;
  readonly keyId: string;
  readonly currentKeyId: string;
  readonly operationId: string;
  readonly facts: EvidenceFacts;
}): Promise<StepOutcome<ArmOperation>> {
  const { cluster, keyId, currentKeyId, operationId, facts } = input;
  const target = shortKeyId(keyId);
  await short('Note the coming activation in the ledger').changeLedger({
    cluster,
    reportedKeyId: currentKeyId,
    changes: [
      { type: 'reconcile', operationId },
      { type: 'activating', keyId, operationId },
    ],
  });
  const { operationUrl } = await short(`Set ${target}`).submitKey({ cluster, keyId, expectedKeyId: currentKeyId });
  const operation = await long(`Wait until Azure has set ${target}`).awaitKey({ cluster, keyId, operationUrl });
  facts.armOperations = [...facts.armOperations, operation];
  facts.ledger = await short('Note the activation in the ledger').changeLedger({
    cluster,
    reportedKeyId: keyId,
    changes: [{ type: 'activated', keyId }],
  });
  return { value: operation, text: `Azure's operation ended ${operation.status}.` };
}

async function converge(input: Parameters<Activities['awaitConvergence']>[0]): Promise<StepOutcome<Convergence>> {
  const value = await long(`See every API server write with ${describeTarget(input.target)}`).awaitConvergence(input);
  const witness =
    value.metrics === 'confirmed' ? 'metrics agree' : `with weaker evidence: ${value.weaknesses.join(' ')}`;
  return {
    value,
    text: `Rc is ${value.convergedRv}; ${value.leases.length} API server(s) agree over ${value.stillProbes} fresh connections, ${witness}.`,
  };
}

function targetOf(plan: Plan): string {
  if (plan.targetKeyId === null) throw new Error('The plan neither names a key nor makes one.');
  return plan.targetKeyId;
}

/** The effect check and the list of refused Secrets: either needs a person. */
function refuseUselessRewrite(report: RewriteReport, acceptance: Acceptance | null): void {
  if (hadNoEffect(report)) {
    throw new StepBlocked({
      code: 'RewriteHadNoEffect',
      detail: `${report.contradictions} of ${report.contradictions + report.rewritten} Secrets that had to change did not. Some API server does not write with the new key. Keep both keys.`,
    });
  }
  refuseUnproven(report.refused, report.refusedSecrets, acceptance);
}

function refuseIncompleteProof(proof: Proof, acceptance: Acceptance | null): void {
  refuseUnproven(proof.unproven, proof.unprovenSecrets, acceptance);
  if (!proof.convergenceHeld) {
    throw new StepBlocked({
      code: 'NotConverged',
      detail: 'The API servers did not agree any more after the rewrite. Keep both keys, and try again.',
    });
  }
}

function refuseUnproven(count: number, secrets: readonly RefusedSecret[], acceptance: Acceptance | null): void {
  if (isAccepted(acceptance, count, secrets)) return;
  throw new StepBlocked({ code: 'SecretsUnproven', detail: unprovenText(count, secrets) }, { count, secrets });
}

function unprovenText(count: number, some: readonly RefusedSecret[]): string {
  const shown = some.slice(0, 5).map(({ namespace, name, reason }) => `${namespace}/${name} (${reason})`);
  const more = count > shown.length ? `, and ${count - shown.length} more` : '';
  return `${count} Secret(s) are not under the new key: ${shown.join(', ')}${more}. Keep both keys.`;
}

function rewriteText({ rewritten, alreadyProven, unchanged, gone, secrets }: RewriteReport): string {
  return `${rewritten} of ${secrets} Secrets rewritten, ${alreadyProven} already proven, ${unchanged} unchanged, ${gone} deleted meanwhile.`;
}

function proofText(proof: Proof): string {
  const { secrets, unproven, bounds, finalRv, weaknesses } = proof;
  const since = bounds.baselineRv === null ? '' : `R0 ${bounds.baselineRv}, `;
  const what =
    unproven === 0
      ? `${secrets} Secrets ${isConclusive(proof) ? 'proven' : 'stored anew'}, none left out`
      : `${secrets - unproven} of ${secrets} Secrets proven, ${unproven} accepted as they are`;
  const weaker = weaknesses.length === 0 ? '' : ` Weaker evidence: ${weaknesses.join(' ')}`;
  return `${what} (${since}Rc ${bounds.convergedRv}, final list ${finalRv}).${weaker}`;
}

function ledgerProof(proof: Proof, operationId: string): { operationId: string; convergedRv: string; secrets: number } {
  return { operationId, convergedRv: proof.bounds.convergedRv, secrets: proof.secrets };
}
