/**
 * `rotate-key`, step by step. Lay it beside "Rotate the existing keys" of the AKS documents: a new key version is set as
 * the cluster's KMS key, then every Secret is updated. What is added is what makes it provable.
 *
 * The order is the safety property: proven before turned (K2), noted before done (ledger), seen to have switched before
 * rewritten, proven before called done (K5). No key is disabled or deleted here (K1).
 */
import type { Activities, RewriteInput } from '../../activities/contract';
import type { Baseline, Convergence } from '../../domain/convergence';
import type { ArmOperation, EvidenceRecord } from '../../domain/evidence';
import type { RotationResult } from '../../domain/operation';
import { StepId, type Plan } from '../../domain/plan';
import { hadNoEffect, type Proof, type RewriteReport } from '../../domain/proof';
import { shortKeyId } from '../../domain/resource-ids';
import { long, short } from '../activities';
import { StepBlocked, type Run, type StepOutcome } from '../run';

/** What the evidence shows beside the operation itself; filled as the steps go. */
export type EvidenceFacts = {
  -readonly [K in 'armOperations' | 'baseline' | 'convergence' | 'ledger']: EvidenceRecord[K];
};

/** Runs the approved plan. Holds the cluster's lock. */
export async function rotateKey(run: Run, plan: Plan, facts: EvidenceFacts): Promise<RotationResult> {
  const { id: operationId } = run.operation;
  const { cluster, currentKeyId } = plan;
  run.publish({ keysNeeded: [currentKeyId] });

  if (run.plans(StepId.ProveCurrentKey)) {
    await run.step(StepId.ProveCurrentKey, () => proveCurrentKey(plan, operationId), { interruptible: true });
  }

  const keyId = run.plans(StepId.CreateKeyVersion)
    ? await run.step(StepId.CreateKeyVersion, () => createKeyVersion(currentKeyId, operationId))
    : targetOf(plan);
  const target = shortKeyId(keyId);

  const baseline = await run.step(StepId.TakeBaseline, async (): Promise<StepOutcome<Baseline>> => {
    const value = await short('Write canaries, list R0').takeBaseline({ cluster, operationId });
    return { value, text: `R0 is ${value.baselineRv}; ${value.canaries.length} canaries.` };
  });
  facts.baseline = baseline;

  await run.step(StepId.SetKey, async () => {
    run.publish({ keysNeeded: [currentKeyId, keyId] });
    return await setKey({ cluster, keyId, currentKeyId, operationId, facts });
  });

  let convergence = await run.step(StepId.Converge, () => converge({ cluster, keyId, operationId, baseline }), {
    interruptible: true,
  });
  facts.convergence = convergence;

  /** After a block, the servers may have changed: see them agree again before anything is judged by them. */
  const boundsForAttempt = async (attempt: number): Promise<RewriteInput> => {
    if (attempt > 1) {
      convergence = (await converge({ cluster, keyId, operationId, baseline })).value;
      facts.convergence = convergence;
    }
    return {
      cluster,
      operationId,
      keyId,
      bounds: { baselineRv: baseline.baselineRv, convergedRv: convergence.convergedRv },
    };
  };

  const rewrite = await run.step(
    StepId.Rewrite,
    async ({ number }): Promise<StepOutcome<RewriteReport>> => {
      const input = await boundsForAttempt(number);
      const value = await long(`Rewrite every Secret under ${target}`).rewriteSecrets(input);
      refuseUselessRewrite(value);
      return { value, text: rewriteText(value) };
    },
    { interruptible: true },
  );

  const proof = await run.step(
    StepId.Prove,
    async ({ number }): Promise<StepOutcome<Proof>> => {
      const input = await boundsForAttempt(number);
      if (number > 1) await long(`Rewrite what is not proven under ${target}`).rewriteSecrets(input);
      const value = await long(`Prove every Secret under ${target}`).proveSecrets({ ...input, baseline, convergence });
      refuseIncompleteProof(value);
      return { value, text: proofText(value) };
    },
    { interruptible: true },
  );

  await run.step(StepId.VerifyKey, async () => {
    const reported = await short('Read the reported key id').verifyKey({ cluster, keyId });
    facts.ledger = await short('Record the proven generation').changeLedger({
      cluster,
      reportedKeyId: keyId,
      changes: [{ type: 'proven', keyId, proof: ledgerProof(proof, operationId) }],
    });
    await short('Delete the canaries').removeCanaries({ cluster, operationId });
    return { value: reported, text: `Azure reports ${shortKeyId(reported.keyId)}; the ledger has it as proven.` };
  });

  return { previousKeyId: currentKeyId, currentKeyId: keyId, rewrite, proof };
}

/** K2 for a cluster whose current key nobody proved: the same rewrite and proof, before anything is turned. */
async function proveCurrentKey(
  { cluster, currentKeyId: keyId }: Plan,
  operationId: string,
): Promise<StepOutcome<Proof>> {
  const convergence = (await converge({ cluster, keyId, operationId })).value;
  const input: RewriteInput = {
    cluster,
    operationId,
    keyId,
    bounds: { baselineRv: null, convergedRv: convergence.convergedRv },
  };
  await long(`Rewrite what is not under ${shortKeyId(keyId)}`).rewriteSecrets(input);
  const proof = await long(`Prove every Secret under ${shortKeyId(keyId)}`).proveSecrets({ ...input, convergence });
  refuseIncompleteProof(proof);
  await short('Record the proven generation').changeLedger({
    cluster,
    reportedKeyId: keyId,
    changes: [{ type: 'reconcile' }, { type: 'proven', keyId, proof: ledgerProof(proof, operationId) }],
  });
  return { value: proof, text: proofText(proof) };
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
    changes: [{ type: 'reconcile' }, { type: 'activating', keyId, operationId }],
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
  const value = await long(`See every API server write with ${shortKeyId(input.keyId)}`).awaitConvergence(input);
  const witness = value.metrics === 'confirmed' ? 'metrics agree' : 'by canaries alone: metrics could not be read';
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
function refuseUselessRewrite(report: RewriteReport): void {
  if (hadNoEffect(report)) {
    throw new StepBlocked({
      code: 'RewriteHadNoEffect',
      detail: `${report.contradictions} of ${report.contradictions + report.rewritten} Secrets that had to change did not. Some API server does not write with the new key. Keep both keys.`,
    });
  }
  if (report.refused > 0)
    throw new StepBlocked({ code: 'SecretsUnproven', detail: unprovenText(report.refused, report.refusedSecrets) });
}

function refuseIncompleteProof(proof: Proof): void {
  if (proof.unproven > 0)
    throw new StepBlocked({ code: 'SecretsUnproven', detail: unprovenText(proof.unproven, proof.unprovenSecrets) });
  if (!proof.convergenceHeld) {
    throw new StepBlocked({
      code: 'NotConverged',
      detail: 'The API servers did not agree any more after the rewrite. Keep both keys, and try again.',
    });
  }
}

function unprovenText(count: number, some: RewriteReport['refusedSecrets']): string {
  const shown = some
    .slice(0, 5)
    .map(({ namespace, name, reason, message }) => `${namespace}/${name} (${reason}: ${message})`);
  const more = count > shown.length ? `, and ${count - shown.length} more` : '';
  return `${count} Secret(s) are not under the new key: ${shown.join(', ')}${more}. Keep both keys.`;
}

function rewriteText({ rewritten, alreadyProven, unchanged, gone, secrets }: RewriteReport): string {
  return `${rewritten} of ${secrets} Secrets rewritten, ${alreadyProven} already proven, ${unchanged} unchanged, ${gone} deleted meanwhile.`;
}

function proofText({ secrets, bounds, finalRv }: Proof): string {
  const since = bounds.baselineRv === null ? '' : `R0 ${bounds.baselineRv}, `;
  return `${secrets} Secrets proven, none left out (${since}Rc ${bounds.convergedRv}, final list ${finalRv}).`;
}

function ledgerProof(proof: Proof, operationId: string): { operationId: string; convergedRv: string; secrets: number } {
  return { operationId, convergedRv: proof.bounds.convergedRv, secrets: proof.secrets };
}
