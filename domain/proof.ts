/**
 * The proof rule (DESIGN.md section 7): when may a Secret be called stored under the target key?
 *
 * Three resource versions decide. R0: of a LIST before Keyturn asked Azure for the switch. Rc: of a LIST after every API
 * server was seen to write with the target key. rv: the object's own. A no-op patch, fenced by uid and resource version,
 * is a question to the API server: it stores the object again exactly when the stored record is stale under its current
 * write key (etcd3 store, GuaranteedUpdate), so an unchanged resource version is an answer, not a failure.
 */
import { z } from 'zod';
import { RefusedSecret } from './refusal';
import { OwnError } from './own-error';
import { Receipt } from './trust/receipts';

/** Where an object's resource version lies. */
export type Band =
  /** rv > Rc: written by converged servers only. Proven without a request; this is the resume rule too. */
  | 'after-convergence'
  /** R0 < rv <= Rc, or no R0: written by a server with the old or with the target key. A no-op decides. */
  | 'ambiguous'
  /** rv <= R0: cannot be under a key that was never active before. A no-op must store it again. */
  | 'before-switch';

/**
 * How a Secret that is not proven yet gets proven.
 * `no-op`: a patch that changes nothing; the API server stores what is stale. Right for KMS v2 and plaintext, and for KMS
 *          v1 where each key has a provider name of its own.
 * `forced`: a patch that changes an annotation, so that the API server stores the Secret whether it looks stale or not. Right
 *          where no record ever looks stale: KMS v1 behind one provider name.
 */
export const RewriteMethod = z.enum(['no-op', 'forced']);
/** How a Secret that is not proven yet gets proven. */
export type RewriteMethod = z.infer<typeof RewriteMethod>;

/** The two resource versions that a rewrite is judged by, and how it is done. */
export const ProofBounds = z.object({
  /** R0; null when nothing is known about the time before, or the target key was in use before: then every answer of a converged server is accepted. */
  baselineRv: z.string().nullable(),
  /** Rc. */
  convergedRv: z.string(),
  method: RewriteMethod,
});
/** The two resource versions that a rewrite is judged by, and how it is done. */
export type ProofBounds = z.infer<typeof ProofBounds>;

/** What the answer to a patch says of one object. */
export type Verdict = 'proven' | 'contradiction';

/** The decisions of the rule. Product code uses `PROOF_RULE`; the tests must fail with each mutated rule. */
export interface ProofRule {
  bandOf(resourceVersion: string, bounds: ProofBounds): Band;
  /** Judges the answer to a fenced patch that was sent after convergence, to an object that was not proven. */
  judge(band: Exclude<Band, 'after-convergence'>, method: RewriteMethod, before: string, after: string): Verdict;
}

/**
 * Compares resource versions as integers of any length, which upstream blesses for one resource of one cluster
 * (apimachinery `resourceversion.CompareResourceVersion`).
 * @throws Error when one is not a decimal integer without leading zeros.
 */
export function compareResourceVersions(a: string, b: string): number {
  for (const rv of [a, b]) {
    if (!/^(0|[1-9]\d*)$/.test(rv)) throw new OwnError(`"${rv}" is not a resource version that can be compared.`);
  }
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The rule. */
export const PROOF_RULE: ProofRule = {
  bandOf(resourceVersion, { baselineRv, convergedRv }) {
    if (compareResourceVersions(resourceVersion, convergedRv) > 0) return 'after-convergence';
    if (baselineRv === null || compareResourceVersions(resourceVersion, baselineRv) > 0) return 'ambiguous';
    return 'before-switch';
  },
  judge(band, method, before, after) {
    if (compareResourceVersions(after, before) > 0) return 'proven';
    // Unchanged: a converged server says "not stale". That is an answer only where the server can see staleness, and only
    // for a record that can be under the target key.
    return band === 'ambiguous' && method === 'no-op' ? 'proven' : 'contradiction';
  },
};

/** Whether a LIST is older than an earlier one: then etcd was restored, and no earlier proof holds any more. */
export function wentBackwards(earlierListRv: string, laterListRv: string): boolean {
  return compareResourceVersions(laterListRv, earlierListRv) < 0;
}

/** What a rewrite did, in counts; its size does not depend on the number of Secrets. */
export const RewriteReport = z.object({
  bounds: ProofBounds,
  /** Live Secrets that were checked. */
  secrets: z.int(),
  /** Stored again by this rewrite. */
  rewritten: z.int(),
  /** Stored again under the target key by another client, or by an earlier try of this rewrite. */
  alreadyProven: z.int(),
  /** Answered "not stale" in the ambiguous band. */
  unchanged: z.int(),
  /** Deleted while the rewrite ran. */
  gone: z.int(),
  contradictions: z.int(),
  refused: z.int(),
  /** Those that there is room to name; `refused` counts all. */
  refusedSecrets: z.array(RefusedSecret),
});
/** What a rewrite did. */
export type RewriteReport = z.infer<typeof RewriteReport>;

/**
 * Two passes over the same Secrets as one report: the counts of Secrets are those of the later pass, and a Secret that the
 * earlier pass stored again counts as rewritten, not as found unchanged or proven by the later one.
 */
export function addReports(earlier: RewriteReport, later: RewriteReport): RewriteReport {
  const fromProven = Math.min(earlier.rewritten, later.alreadyProven);
  const fromUnchanged = Math.min(earlier.rewritten - fromProven, later.unchanged);
  return {
    ...later,
    rewritten: later.rewritten + fromProven + fromUnchanged,
    alreadyProven: later.alreadyProven - fromProven,
    unchanged: later.unchanged - fromUnchanged,
  };
}

/** The argument that no live Secret is stored under an older key. */
export const Proof = z.object({
  bounds: ProofBounds,
  /** Resource version of the final, fresh LIST. */
  finalRv: z.string(),
  secrets: z.int(),
  unproven: z.int(),
  /** Those that there is room to name; `unproven` counts all. */
  unprovenSecrets: z.array(RefusedSecret),
  /** Whether every API server was seen to write with the target key after the last write. */
  convergenceHeld: z.boolean(),
  /** Where it rests on less than every API server's own report, in sentences; empty is best. */
  weaknesses: z.array(z.string()),
  receipt: Receipt.optional(),
});
/** The argument that no live Secret is stored under an older key. */
export type Proof = z.infer<typeof Proof>;

/** Whether nothing is left to prove. */
export function isComplete({ unproven, convergenceHeld }: Pick<Proof, 'unproven' | 'convergenceHeld'>): boolean {
  return unproven === 0 && convergenceHeld;
}

/**
 * Whether the target may be called proven, so that an older key may leave its slot (K2, K5). Not after a rotation behind one
 * KMS v1 provider name: there only the start of its process shows that a server has switched, and a server that was started in
 * the middle of the change would store every Secret under the old key. A later forced rewrite, without a rotation before it,
 * makes up for that.
 */
export function isConclusive(proof: Pick<Proof, 'unproven' | 'convergenceHeld' | 'bounds'>): boolean {
  const { method, baselineRv } = proof.bounds;
  return isComplete(proof) && !(method === 'forced' && baselineRv !== null);
}

/** Fewer than this say nothing about all the others. */
const EFFECT_SAMPLE = 100;

/**
 * The effect check: right after a rotation nearly every Secret must change. If most of those that had to change did not, then
 * the wrong server, the wrong configuration or a provider that shows no staleness answered.
 */
export function hadNoEffect({
  rewritten,
  contradictions,
}: Pick<RewriteReport, 'rewritten' | 'contradictions'>): boolean {
  const due = rewritten + contradictions;
  return due > 0 && contradictions / due > 0.5;
}

/** The effect check in the middle of a rewrite: whether it is already pointless to go on. */
export function isPointless(counts: Pick<RewriteReport, 'rewritten' | 'contradictions'>): boolean {
  return counts.rewritten + counts.contradictions >= EFFECT_SAMPLE && hadNoEffect(counts);
}
