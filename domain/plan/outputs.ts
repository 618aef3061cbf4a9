/** What steps give: kept by step id. Evidence, result, needed keys and the state left are pure functions of plan and outputs. */
import { z } from 'zod';
import { CSI_OUTPUTS } from '../csi/outputs';
import { Baseline, Convergence } from '../convergence';
import { keyOf, type MadeKeys } from '../encryption';
import { KeyUsers } from '../key-users';
import { keysNeeded, Ledger } from '../ledger';
import type { OperationResult, StepStatus } from '../operation';
import { Proof, RewriteReport } from '../proof';
import { Receipt } from '../trust/receipts';
import { ArmOperation } from './arm-operation';
import type { Plan } from './plan';
import type { StepType } from './steps';

export { ArmOperation } from './arm-operation';

/** What a step gave. */
export const StepOutput = z.discriminatedUnion('type', [
  z.object({ type: z.literal('gate'), approvedBy: z.array(z.string()) }),
  z.object({ type: z.literal('create-key-version'), keyId: z.string() }),
  z.object({ type: z.literal('take-baseline'), baseline: Baseline }),
  z.object({ type: z.literal('set-kms'), armOperations: z.array(ArmOperation), ledger: Ledger }),
  z.object({ type: z.literal('converge'), convergence: Convergence }),
  z.object({ type: z.literal('rewrite'), report: RewriteReport }),
  z.object({ type: z.literal('prove'), proof: Proof }),
  z.object({
    type: z.literal('record-proof'),
    ledger: Ledger,
    proven: z.boolean(),
    /** The entity tag of the cluster when it was last seen to encrypt with what is proven. */
    eTag: z.string().optional(),
  }),
  z.object({ type: z.literal('upgrade-control-plane'), armOperations: z.array(ArmOperation), version: z.string() }),
  z.object({ type: z.literal('upgrade-pool'), armOperations: z.array(ArmOperation), version: z.string() }),
  z.object({ type: z.literal('check-key-unused'), at: z.string(), users: KeyUsers }),
  z.object({
    type: z.literal('disable-key-version'),
    keyId: z.string(),
    /** When the vault says that the version was last changed, ISO 8601: by this step. */
    updatedOn: z.string().optional(),
    receipt: Receipt.optional(),
  }),
  z.object({ type: z.literal('soak'), startedAt: z.string(), endedAt: z.string() }),
  z.object({
    type: z.literal('delete-key'),
    /** Null: the key object was left, since versions of it are needed. */
    recoveryId: z.string().nullable(),
    scheduledPurgeOn: z.string().nullable(),
    /** Versions for which it was left. */
    needed: z.array(z.string()),
  }),
  /** `changed`: false when the vault was so already. */
  z.object({ type: z.literal('set-vault-network'), changed: z.boolean() }),
  /** `granted` false: the identity had the rights already. */
  z.object({ type: z.literal('grant-key-access'), principalId: z.string(), granted: z.boolean() }),
  /** `created` false: the setting was there already, or an earlier try made it. */
  z.object({ type: z.literal('set-vault-diagnostics'), settingName: z.string(), created: z.boolean() }),
  z.object({ type: z.literal('confirm-vault-diagnostics'), settingName: z.string() }),
  /** `created` false: it was there when the plan was made. */
  z.object({ type: z.literal('create-vault'), vaultId: z.string(), created: z.boolean() }),
  z.object({
    type: z.literal('create-key'),
    keyId: z.string(),
    created: z.boolean(),
    /** ARM made or showed it: the vault did not answer. */
    through: z.literal('arm').optional(),
  }),
  /** `changed` of repairs: false when it was so already. */
  z.object({ type: z.literal('enable-key-version'), changed: z.boolean() }),
  z.object({ type: z.literal('extend-key-expiry'), changed: z.boolean(), expiresOn: z.string() }),
  z.object({ type: z.literal('recover-deleted-key'), changed: z.boolean() }),
  z.object({ type: z.literal('recover-vault'), changed: z.boolean() }),
  z.object({ type: z.literal('restore-identity'), changed: z.boolean(), principalId: z.string() }),
  z.object({ type: z.literal('reconcile-cluster'), armOperations: z.array(ArmOperation) }),
  /** `answers`: health checks that API servers passed, each over a connection of its own. */
  z.object({ type: z.literal('await-kms'), answers: z.int() }),
  z.object({ type: z.literal('create-identity'), principalId: z.string() }),
  /** `granted` false: the identity had the right already. */
  z.object({ type: z.literal('grant-endpoint-approval'), principalId: z.string(), granted: z.boolean() }),
  z.object({ type: z.literal('create-cluster'), armOperations: z.array(ArmOperation), version: z.string() }),
  z.object({ type: z.literal('enable-vnet-integration'), armOperations: z.array(ArmOperation) }),
  z.object({ type: z.literal('stop-cluster'), armOperations: z.array(ArmOperation) }),
  z.object({ type: z.literal('start-cluster'), armOperations: z.array(ArmOperation) }),
  /** `answers`: health checks that API servers passed, each over a connection of its own. */
  z.object({ type: z.literal('await-api-servers'), answers: z.int() }),
  ...CSI_OUTPUTS,
]);
/** What a step gave. */
export type StepOutput = z.infer<typeof StepOutput>;

/** Outputs by step id. */
export type Outputs = Readonly<Record<string, StepOutput>>;

/** The output of a step. @throws Error when it is not there, or of another type */
export function outputOf<T extends StepType>(
  outputs: Outputs,
  step: string,
  type: T,
): StepOutput & { readonly type: T } {
  const output = outputs[step];
  if (output?.type !== type) throw new Error(`The step ${step} gave no output of the type ${type}.`);
  return output as StepOutput & { readonly type: T };
}

/** The key ids that steps made, by step id. */
export function madeKeys(outputs: Outputs): MadeKeys {
  const made = Object.entries(outputs).flatMap(([step, output]): [string, string][] =>
    output.type === 'create-key-version' || output.type === 'create-key' ? [[step, output.keyId]] : [],
  );
  return Object.fromEntries(made);
}

/** The ledger as the last step that wrote it left it. */
function lastLedger(plan: Plan, outputs: Outputs): Ledger | undefined {
  return plan.steps
    .map(({ id }) => outputs[id])
    .findLast((output) => output?.type === 'set-kms' || output?.type === 'record-proof')?.ledger;
}

/** A proof that an operation recorded in the ledger: the ledger is believed by it. */
export interface RecordedProof {
  /** The record step. */
  readonly step: string;
  /** Null is plaintext. */
  readonly keyId: string | null;
  readonly convergedRv: string;
  readonly secrets: number;
  /** The entity tag that the cluster had then. */
  readonly eTag?: string;
}

/** The proofs that were recorded as proven, in the order of the plan. */
export function proofsOf(plan: Plan, outputs: Outputs): RecordedProof[] {
  return plan.steps.flatMap((step) => {
    const output = step.type === 'record-proof' ? outputs[step.id] : undefined;
    if (step.type !== 'record-proof' || output?.type !== 'record-proof' || !output.proven) return [];
    const { secrets, bounds } = outputOf(outputs, step.proof, 'prove').proof;
    const keyId = keyOf(step.to, madeKeys(outputs));
    return [{ step: step.id, keyId, convergedRv: bounds.convergedRv, secrets, eTag: output.eTag }];
  });
}

/**
 * Keys that must stay enabled, unexpired and undeleted as things stand: never fewer than before the first step until a proof
 * is recorded, and from the moment that ARM may have been asked for a key, that one too (K1).
 */
export function keysNeededNow(plan: Plan, steps: readonly StepStatus[], outputs: Outputs): string[] {
  const lastProof = plan.steps.findLast(({ type }) => type === 'record-proof');
  const ended = lastProof !== undefined ? outputs[lastProof.id] : undefined;
  if (ended?.type === 'record-proof' && ended.proven) return keysNeeded(ended.ledger);
  const asked = plan.steps.flatMap((step) => {
    const begun = steps.some(({ id, startedAt }) => id === step.id && startedAt !== undefined);
    if ((step.type !== 'set-kms' && step.type !== 'create-cluster') || !begun) return [];
    return keyOf(step.to, madeKeys(outputs)) ?? [];
  });
  const noted = lastLedger(plan, outputs);
  return [...new Set([...plan.keysNeeded, ...(noted ? keysNeeded(noted) : []), ...asked])];
}

/** The summary of a finished operation. @throws Error when a proof that the plan makes is not there */
export function resultOf(plan: Plan, outputs: Outputs): OperationResult {
  const made = madeKeys(outputs);
  const all = plan.steps.map(({ id }) => outputs[id]);
  const proof = all.findLast((output) => output?.type === 'prove');
  if (!proof && plan.steps.some(({ type }) => type === 'prove')) throw new Error('The plan ended without its proof.');
  const rewrite = all.findLast((output) => output?.type === 'rewrite');
  const key = all.findLast((output) => output?.type === 'create-key');
  return {
    previousKeyId: keyOf(plan.from, made),
    currentKeyId: keyOf(plan.to, made),
    ...(key ? { keyId: key.keyId } : {}),
    rewrite: rewrite ? withoutNames(rewrite.report) : null,
    proof: proof ? countsOf(proof.proof) : null,
  };
}

/** A result is counts: names stay in the outputs, and so does the signature of what they are of. */
function withoutNames({ refusedSecrets: _names, ...counts }: RewriteReport): Omit<RewriteReport, 'refusedSecrets'> {
  return counts;
}

function countsOf({
  unprovenSecrets: _names,
  receipt: _of,
  ...counts
}: Proof): Omit<Proof, 'unprovenSecrets' | 'receipt'> {
  return counts;
}
