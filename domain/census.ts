/**
 * The census: what can be known of the rewrite of every Secret before any key is touched.
 *
 * Where an admission webhook or policy could deny or change an update of a Secret, each is asked by a dry-run patch: that reads
 * the record from etcd and runs authorization, admission and validation. Elsewhere each record is only read from etcd, which
 * finds what cannot be decrypted. Neither encrypts anything: so the census tells neither what is stale, nor whether the API
 * server can encrypt at all, nor whether etcd would take the record.
 */
import { z } from 'zod';
import { AdmissionSight, describeChanging } from './admission';
import { canonicalJson } from './canonical';
import type { Fault } from './errors';
import type { Warning } from './plan/plan';
import { OF_ONE_SECRET, RefusalReason, suggestionFor } from './refusal';

/** So many Secrets are named for each reason; all are counted. */
export const CENSUS_NAMES = 5;

/** The Secrets that one reason stands in the way of. */
export const CensusProblem = z.object({
  reason: RefusalReason,
  count: z.int(),
  /** The first few, `namespace/name`, in the order of the list. */
  secrets: z.array(z.string()),
  /** What the API server said of the first. */
  message: z.string(),
});
/** The Secrets that one reason stands in the way of. */
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
  /** Secrets that were told to be deleted long ago and wait for a finalizer: they are live, and are rewritten like any. */
  finalizing: NamedSecrets,
  /** The resource version of its list: a later census need not ask again for what has not changed since. */
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
});
/** What the census found. */
export type Census = z.infer<typeof Census>;

/** What a dry run says of the rewrite to come. That somebody kept changing a Secret says something of the moment only. */
const FORETOLD: readonly RefusalReason[] = [
  ...OF_ONE_SECRET.filter((reason) => reason !== 'KeptChanging'),
  'EncryptionFailed',
  'ServerError',
];

/** All annotations of an object together, names and values (apimachinery `TotalAnnotationSizeLimitB`). */
const MOST_ANNOTATION_BYTES = 262_144;
/** `keyturn.dev/rewritten` with an operation's id and a resource version, rather more than less. */
const FORCED_ANNOTATION_BYTES = 128;

/** Whether annotations of so many bytes leave room for what a forced rewrite adds. */
export function leavesRoom(annotationBytes: number): boolean {
  return annotationBytes + FORCED_ANNOTATION_BYTES <= MOST_ANNOTATION_BYTES;
}

/**
 * Whether a census that follows another may take over what that one found of a Secret that has not changed since. Only when
 * there was nothing to find, and the same webhooks and policies apply.
 */
export function mayBuildOn(earlier: Census | undefined, admission: AdmissionSight): earlier is Census {
  return (
    earlier?.listRv !== undefined &&
    earlier.problems.length === 0 &&
    (earlier.changed?.count ?? 0) === 0 &&
    canonicalJson(earlier.admission) === canonicalJson(admission)
  );
}

/** What was found that makes any change of the key wrong. */
export function censusFaults(census: Census): Fault[] {
  return [...faultsOfSecrets(census), ...faultsOfOwnObjects(census)];
}

function faultsOfOwnObjects({ refusedObjects = [], keepsChanging, admission }: Census): Fault[] {
  // A webhook that a dry run cannot ask may well agree.
  const refused = refusedObjects.filter(({ reason }) => reason !== 'DryRunUnsupported');
  const faults = refused.map(({ object, message }): Fault => ({
    code: 'ClusterAccessRefused',
    pointer: '/cluster',
    detail: `A dry run says that the API server would not store the ${object}, which Keyturn needs: ${message} Exempt it from what is named, or give the user that is named the right, then ask again.`,
  }));
  if (!keepsChanging) return faults;
  const names = admission === undefined ? 'unknown' : describeChanging(admission);
  return [
    ...faults,
    {
      code: 'CanariesNotStill',
      pointer: '/cluster',
      detail: `In a dry run, something changes a Secret in kube-system on every update. Keyturn cannot tell such a change from that of an API server that writes with another key. Mutating webhooks and policies that match an update of a Secret: ${names}. Exempt Secrets with the label keyturn.dev/canary from the one that does it, then ask again.`,
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
          detail: `The API server cannot read ${found} With an unreadable Secret no new API server gets ready, so that a change of the key would wedge the cluster. Keep every key version of the cluster enabled. If a key was set by hand before the Secrets were rewritten, set the one again that they are under (the last evidence of Keyturn for this cluster names the key that was proven, the activity log every key that was set), then ask for the kind rewrite-secrets.`,
        },
      ];
    }
    if (problem.reason === 'NotPermitted') {
      return [{ code: 'RewriteNotPermitted', pointer: '/cluster', detail: `Keyturn may not rewrite ${found}` }];
    }
    return [];
  });
}

/** What an approver should know: Secrets that will be left, and what a dry run could not tell. */
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
        detail: `${problem.reason}: as things stand the operation will stop, with both keys in use, before ${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`,
      },
    ];
  });
  if (finalizing.count > 0) {
    warnings.push({
      code: 'SecretsFinalizing',
      detail: `${counted(finalizing)} wait for a finalizer to be deleted, and are rewritten like any other.`,
    });
  }
  return [...warnings, ...admissionWarnings(census)];
}

/** What webhooks and policies do or may do to Secrets that are rewritten: by name, never by their texts. */
function admissionWarnings({ admission, changed }: Census): Warning[] {
  if (admission === undefined) return [];
  const warnings: Warning[] = [];
  const { changing, denying, unread } = admission;
  if (changed !== undefined && changed.count > 0) {
    warnings.push({
      code: 'SecretsChangedByAdmission',
      detail: `The rewrite changes the content of ${counted(changed)}. Keyturn's patch changes nothing; webhooks or policies change these Secrets on every update, or did not see them yet. Those that match: ${describeChanging(admission)}. Look at what they change before you approve, or exempt these Secrets.`,
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

/** What only a forced rewrite meets, as behind KMS v1 where both keys share a provider name. */
export function forcedRewriteWarnings({ annotated }: Census): Warning[] {
  if (annotated === undefined || annotated.count === 0) return [];
  return [
    {
      code: 'SecretsRefuseRewrite',
      detail: `AnnotationsTooLarge: if the rewrite has to add an annotation, it will stop, with both keys in use, before ${counted(annotated)}. ${suggestionFor('AnnotationsTooLarge')}`,
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
