/**
 * The census: what can be known about the rewrite of every Secret before any key is touched.
 *
 * Where an admission webhook or policy could deny or change an update of a Secret, the census sends a dry-run patch for each
 * Secret: the API server then reads the record from etcd and runs authorization, admission and validation. Elsewhere it only
 * makes the API server read each record from etcd, which finds records that cannot be decrypted. Neither encrypts anything. So
 * the census does not tell which records are stale, whether the API server can encrypt at all, or whether etcd would store the
 * record.
 */
import { z } from 'zod';
import { AdmissionSight, describeChanging } from './admission';
import { canonicalJson } from './canonical';
import type { Fault } from './errors';
import type { Warning } from './plan/plan';
import { slowWriteWarnings } from './rewrite-effects';
import { OF_ONE_SECRET, RefusalReason, suggestionFor } from './refusal';

/** At most this many Secrets are named for each reason; all are counted. */
export const CENSUS_NAMES = 5;

/** The Secrets that one reason keeps from being rewritten. */
export const CensusProblem = z.object({
  reason: RefusalReason,
  count: z.int(),
  /** The first few, `namespace/name`, in the order of the list. */
  secrets: z.array(z.string()),
  /** What the API server answered for the first one. */
  message: z.string(),
});
/** The Secrets that one reason keeps from being rewritten. */
export type CensusProblem = z.infer<typeof CensusProblem>;

/** Some Secrets: counted, and the first of them by name. */
export const NamedSecrets = z.object({ count: z.int(), secrets: z.array(z.string()) });
/** Some Secrets. */
export type NamedSecrets = z.infer<typeof NamedSecrets>;

/** An object of Keyturn's own that the API server would not store. */
export const RefusedObject = z.object({
  /** `Secret kube-system/…`, `ConfigMap kube-system/…`. */
  object: z.string(),
  reason: RefusalReason,
  message: z.string(),
});
/** An object of Keyturn's own that the API server would not store. */
export type RefusedObject = z.infer<typeof RefusedObject>;

/** What the census found. Its size does not depend on the number of Secrets. */
export const Census = z.object({
  secrets: z.int(),
  /** In the order of `RefusalReason`. */
  problems: z.array(CensusProblem),
  /** Secrets whose deletion waits for a finalizer: they are live, and are rewritten like any other. */
  finalizing: NamedSecrets,
  /** The resource version of its list: a later census need not check again what has not changed since. */
  listRv: z.string().optional(),
  /** What could deny or change an update of a Secret. */
  admission: AdmissionSight.optional(),
  /** Secrets whose content an update changes, although the patch changes nothing. */
  changed: NamedSecrets.optional(),
  /** Secrets whose annotations leave no room for the one that a forced rewrite adds. */
  annotated: NamedSecrets.optional(),
  /** Keyturn's own objects that a dry run says would not be stored. */
  refusedObjects: z.array(RefusedObject).optional(),
  /** Whether a dry run showed that something changes a Secret in kube-system on every update. */
  keepsChanging: z.boolean().optional(),
  /** How long dry runs of updates took; absent when none was made. */
  writes: z.object({ medianInMs: z.number(), inFlight: z.int() }).optional(),
});
/** What the census found. */
export type Census = z.infer<typeof Census>;

/** The reasons of a dry run that hold for the later rewrite, too. `KeptChanging` says something about the moment only. */
const FORETOLD: readonly RefusalReason[] = [
  ...OF_ONE_SECRET.filter((reason) => reason !== 'KeptChanging'),
  'EncryptionFailed',
  'ServerError',
];

/** All annotations of an object together, names and values (apimachinery `TotalAnnotationSizeLimitB`). */
const MOST_ANNOTATION_BYTES = 262_144;
/** `keyturn.dev/rewritten` with an operation's id and a resource version, rounded up. */
const FORCED_ANNOTATION_BYTES = 128;

/** Whether annotations of this size leave room for the one that a forced rewrite adds. */
export function leavesRoom(annotationBytes: number): boolean {
  return annotationBytes + FORCED_ANNOTATION_BYTES <= MOST_ANNOTATION_BYTES;
}

/**
 * Whether a census may take over the result of an earlier one for Secrets that have not changed since: only when the earlier
 * one found nothing, and the same webhooks and policies apply.
 */
export function mayBuildOn(earlier: Census | undefined, admission: AdmissionSight): earlier is Census {
  return (
    earlier?.listRv !== undefined &&
    earlier.problems.length === 0 &&
    (earlier.changed?.count ?? 0) === 0 &&
    canonicalJson(earlier.admission) === canonicalJson(admission)
  );
}

/** Whether the census found something that keeps a key from being changed, or that an approver is told of. */
export function hasFindings({
  problems,
  finalizing,
  changed,
  annotated,
  refusedObjects,
  keepsChanging,
}: Census): boolean {
  const counted = [finalizing, changed, annotated].some((some) => (some?.count ?? 0) > 0);
  return problems.length > 0 || counted || (refusedObjects?.length ?? 0) > 0 || keepsChanging === true;
}

/** The findings for which the key must not be changed. */
export function censusFaults(census: Census): Fault[] {
  return [...faultsOfSecrets(census), ...faultsOfOwnObjects(census)];
}

function faultsOfOwnObjects({ refusedObjects = [], keepsChanging, admission }: Census): Fault[] {
  // A webhook that a dry run cannot call may still allow the object.
  const refused = refusedObjects.filter(({ reason }) => reason !== 'DryRunUnsupported');
  const faults = refused.map(({ object, message }): Fault => ({
    code: 'ClusterAccessRefused',
    pointer: '/cluster',
    detail: `A dry run says that the API server would not store the ${object}, which Keyturn needs: ${message} Nothing was changed. Exempt the object from the webhook or policy that is named, or give the named user the right, then ask again.`,
  }));
  if (!keepsChanging) return faults;
  const names = admission === undefined ? 'unknown' : describeChanging(admission);
  return [
    ...faults,
    {
      code: 'CanariesNotStill',
      pointer: '/cluster',
      detail: `In a dry run, something changes a Secret in kube-system on every update. Keyturn cannot tell such a change from that of an API server that writes with another key. Mutating webhooks and policies that match an update of a Secret: ${names}. Exempt Secrets with the label keyturn.dev/canary from the one that does it, then ask again. Nothing was changed.`,
    },
  ];
}

function faultsOfSecrets({ problems }: Census): Fault[] {
  return problems.flatMap((problem): Fault[] => {
    const found = `${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`;
    if (problem.reason === 'Unreadable') {
      return [
        {
          code: 'SecretsUnreadable',
          pointer: '/cluster',
          detail: `The API server cannot read ${found} With an unreadable Secret no new API server gets ready, so a change of the key would wedge the cluster. Nothing was changed. Keep every key version of the cluster enabled. If a key was set by hand before the Secrets were rewritten, set the one again that they are under (the last evidence of Keyturn for this cluster names the key that was proven, the activity log every key that was set), then ask for the kind rewrite-secrets.`,
        },
      ];
    }
    if (problem.reason === 'NotPermitted') {
      return [{ code: 'RewriteNotPermitted', pointer: '/cluster', detail: `Keyturn may not rewrite ${found}` }];
    }
    return [];
  });
}

/** What an approver should know: Secrets that will not be rewritten, and what a dry run could not tell. */
export function censusWarnings(census: Census): Warning[] {
  const { problems, finalizing } = census;
  const warnings = problems.flatMap((problem): Warning[] => {
    if (problem.reason === 'DryRunUnsupported') {
      return [
        {
          code: 'SecretsNotForetold',
          detail: `A dry run cannot tell whether the API server rewrites ${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`,
        },
      ];
    }
    if (!FORETOLD.includes(problem.reason)) return [];
    return [
      {
        code: 'SecretsRefuseRewrite',
        detail: `${problem.reason}: unless this changes, the operation will be blocked after the switch, with the state of before still in use, by ${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`,
      },
    ];
  });
  if (finalizing.count > 0) {
    warnings.push({
      code: 'SecretsFinalizing',
      detail: `${counted(finalizing)} are being deleted and wait for a finalizer. They are rewritten like any other.`,
    });
  }
  const slow = slowWriteWarnings(census.secrets, census.writes, census.admission);
  return [...warnings, ...slow, ...admissionWarnings(census)];
}

/** What webhooks and policies do or may do to Secrets that are rewritten: by name, never by their texts. */
function admissionWarnings({ admission, changed }: Census): Warning[] {
  if (admission === undefined) return [];
  const warnings: Warning[] = [];
  const { changing, denying, unread } = admission;
  if (changed !== undefined && changed.count > 0) {
    warnings.push({
      code: 'SecretsChangedByAdmission',
      detail: `The rewrite changes the content of ${counted(changed)}. Keyturn's patch changes nothing; webhooks or policies change these Secrets on every update, or have not processed them yet. Those that match: ${describeChanging(admission)}. Check what they change before you approve, or exempt these Secrets.`,
    });
  }
  const named = [...changing, ...denying];
  if (named.length + unread.length > 0) {
    const list = named.length === 0 ? '' : ` Those that match: ${named.join(', ')}.`;
    const unknown = unread.length === 0 ? '' : ` Keyturn may not read ${unread.join(', ')}, so there may be more.`;
    warnings.push({
      code: 'AdmissionAppliesToSecrets',
      detail: `Admission webhooks or policies apply to an update of a Secret, and the rewrite updates every Secret: they may deny or change it. A change of values need not show in a dry run, because Keyturn reads no values.${list}${unknown}`,
    });
  }
  return warnings;
}

/** Warnings for a forced rewrite only, as with KMS v1 where both keys share a provider name. */
export function forcedRewriteWarnings({ annotated }: Census): Warning[] {
  if (annotated === undefined || annotated.count === 0) return [];
  return [
    {
      code: 'SecretsRefuseRewrite',
      detail: `AnnotationsTooLarge: if the rewrite has to add an annotation, it will be blocked after the switch, with the state of before still in use, by ${counted(annotated)}. ${suggestionFor('AnnotationsTooLarge')}`,
    },
  ];
}

function named(problem: CensusProblem): string {
  return `${counted(problem)}.`;
}

function counted({ count, secrets }: NamedSecrets): string {
  const more = count > secrets.length ? ` and ${count - secrets.length} more` : '';
  return `${count === 1 ? '1 Secret' : `${count} Secrets`}: ${secrets.join(', ')}${more}`;
}
