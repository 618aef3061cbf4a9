/**
 * The proof rule (DESIGN.md section 7): when may a Secret be called stored under the target key?
 *
 * Three numbers decide. R0: resource version of a LIST before the switch was asked for. Rc: of a LIST after every API
 * server was seen to write with the target key. rv: the object's own. A no-op patch, fenced by uid and resource version,
 * is a question to the API server: it stores the object anew exactly when the stored record is stale under its current
 * write key (etcd3 store, GuaranteedUpdate), so an unchanged resource version is an answer, not a failure.
 */
import { z } from 'zod';
import { assertNever } from './assert-never';

/** Where an object's resource version lies. */
export type Band =
  /** rv > Rc: written by converged servers only. Proven without a request; this is the resume rule too. */
  | 'after-convergence'
  /** R0 < rv <= Rc, or no R0: written by a server of either state. A no-op decides. */
  | 'ambiguous'
  /** rv <= R0: cannot be under a key that was never active before. A no-op must store it anew. */
  | 'before-switch';

/** The two resource versions that a rewrite is judged by. */
export const ProofBounds = z.object({
  /** R0; null when nothing is known of the time before, or the target key was in use before: then every answer of a converged server is accepted. */
  baselineRv: z.string().nullable(),
  /** Rc. */
  convergedRv: z.string(),
});
/** The two resource versions that a rewrite is judged by. */
export type ProofBounds = z.infer<typeof ProofBounds>;

/** What a fenced no-op patch says of one object. */
export type Verdict = 'proven' | 'contradiction';

/**
 * Compares resource versions as integers of any length, which upstream blesses for one resource of one cluster
 * (apimachinery `resourceversion.CompareResourceVersion`).
 * @throws Error when one is not a decimal integer without leading zeros.
 */
export function compareResourceVersions(a: string, b: string): number {
  for (const rv of [a, b]) {
    if (!/^(0|[1-9]\d*)$/.test(rv)) throw new Error(`"${rv}" is not a resource version that can be compared.`);
  }
  if (a.length !== b.length) return a.length - b.length;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The band of an object. */
export function bandOf(resourceVersion: string, { baselineRv, convergedRv }: ProofBounds): Band {
  if (compareResourceVersions(resourceVersion, convergedRv) > 0) return 'after-convergence';
  if (baselineRv === null || compareResourceVersions(resourceVersion, baselineRv) > 0) return 'ambiguous';
  return 'before-switch';
}

/**
 * Judges the answer to a fenced no-op patch that was sent after convergence.
 * For KMS v2 and identity only: behind one KMS v1 provider name nothing ever looks stale, and a no-op decides nothing.
 */
export function judgeNoOp(band: Band, before: string, after: string): Verdict {
  const changed = compareResourceVersions(after, before) > 0;
  switch (band) {
    case 'after-convergence':
      return 'proven';
    case 'ambiguous':
      return 'proven';
    case 'before-switch':
      return changed ? 'proven' : 'contradiction';
    default:
      return assertNever(band);
  }
}

/** Whether a LIST is older than one seen before: then etcd was restored, and nothing that was proven holds any more. */
export function wentBackwards(earlierListRv: string, laterListRv: string): boolean {
  return compareResourceVersions(laterListRv, earlierListRv) < 0;
}

/** A Secret that could not be rewritten: by name and reason, never by value. */
export const RefusedSecret = z.object({
  namespace: z.string(),
  name: z.string(),
  /** Kubernetes status reason or a transport fault: `Forbidden`, `Invalid`, `RequestEntityTooLarge` … */
  reason: z.string(),
  message: z.string(),
});
/** A Secret that could not be rewritten. */
export type RefusedSecret = z.infer<typeof RefusedSecret>;

/** What a rewrite did, in counts; its size does not depend on the number of Secrets. */
export const RewriteReport = z.object({
  bounds: ProofBounds,
  /** Live Secrets that were looked at. */
  secrets: z.int(),
  /** Stored anew by this rewrite. */
  rewritten: z.int(),
  /** Stored anew under the target key by somebody else, or by an earlier try of this rewrite. */
  alreadyProven: z.int(),
  /** Answered "not stale" in the ambiguous band. */
  unchanged: z.int(),
  /** Deleted while the rewrite ran. */
  gone: z.int(),
  contradictions: z.int(),
  refused: z.int(),
  /** The first refused ones; `refused` counts all. */
  refusedSecrets: z.array(RefusedSecret),
});
/** What a rewrite did. */
export type RewriteReport = z.infer<typeof RewriteReport>;

/** The argument that no live Secret is stored under an older key. */
export const Proof = z.object({
  bounds: ProofBounds,
  /** Resource version of the final, fresh LIST. */
  finalRv: z.string(),
  secrets: z.int(),
  unproven: z.int(),
  /** The first unproven ones; `unproven` counts all. */
  unprovenSecrets: z.array(RefusedSecret),
  /** Whether every API server was seen to write with the target key after the last write. */
  convergenceHeld: z.boolean(),
});
/** The argument that no live Secret is stored under an older key. */
export type Proof = z.infer<typeof Proof>;

/**
 * The effect check: right after a rotation nearly every Secret must change. If almost none did, the wrong server, the
 * wrong configuration or a silent provider answered.
 */
export function hadNoEffect(report: RewriteReport): boolean {
  const due = report.rewritten + report.contradictions;
  return due > 0 && report.contradictions / due > 0.5;
}
