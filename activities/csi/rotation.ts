/**
 * Proves that a mounted file follows the vault: a pod of Keyturn's own mounts a probe of Keyturn's own, and sees its second version.
 *
 * Needs: the approved class in the cluster, rotation, and the right to write the probe to the vault.
 * Does: makes probe, class and pod or finds those of an earlier try; makes the second version when the pod runs, so that no mount can have
 *       had it; reads the report. What it made stays until `removeRotation`, so that a try after a lost worker goes on from there.
 * Never does: touch an object of others, in the vault or in the cluster; see a value.
 */
import type { AzureAccess } from '../../azure/access';
import { secondsOf } from '../../domain/csi/rotation';
import { classParameters, type ClassContent } from '../../domain/csi/secret-provider-class';
import type { CsiObject } from '../../domain/csi/objects';
import { resourceName } from '../../domain/resource-ids';
import type { KubeConnection } from '../kubernetes/connection';
import { KubeError } from '../kubernetes/errors';
import type { StepWork } from '../run-activity';
import { lookUntil } from '../running';
import { approvedClass, notAsApproved } from './approved-class';
import { connectionLabels } from './label';
import { MOUNT_LIMITS } from './mount';
import { mountPod, type SeenPod } from './mount-pod';
import { vaultHostIn } from './mount-words';
import { podLooks, removePod, type MountLimits } from './mounting-pod';
import { AS_KEYTURN, classPath, findPart, unlessMissing } from './objects';
import { rotationProbe, rotationNames, type RotationProbe } from './rotation-probe';
import { rotationProgramText } from './rotation-program';
import { judgeRotation, rotationFailed, type RotationFacts } from './rotation-report';

/** How long the proof may take. */
export interface RotationLimits extends MountLimits {
  /** Beside two poll intervals: a kubelet publishes volumes again every 60 to 90 s, and asks for a token first. */
  readonly marginInMs: number;
}

/** As for a mount. */
export const ROTATION_LIMITS: RotationLimits = { ...MOUNT_LIMITS, marginInMs: 180_000 };

/** From the end of the program's own time to its report. */
const REPORTS_WITHIN_MS = 60_000;
/** What a pod needs beside its limits. */
const SPARE_LIFE_IN_S = 600;
/** The version that the vault had when the pod was made, and how many there were. */
const FIRST = 'keyturn.dev/first-version';
const COUNT = 'keyturn.dev/versions';
const REMOVED_WITHIN_MS = 60_000;

type Azure = Pick<AzureAccess, 'cloud' | 'secrets' | 'keys'>;
/** `attempt`: one more each time a person asked for another try. */
type Work = StepWork<'prove-rotation'> & { readonly attempt: number };

/**
 * Carries out `prove-rotation`.
 * @returns name of the probe, and the versions that the file had
 * @throws ApplicationFailure `RotationFailed`, `RotationProbeRefused`, `MountFailed`, `ConnectionNotAsApproved`, non-retryable; KubeError, VaultError
 */
export async function proveRotation(
  azure: Azure,
  work: Work,
  limits: RotationLimits = ROTATION_LIMITS,
): Promise<{ probe: string; from: string; to: string }> {
  const { step, operationId, signal, inside } = work;
  const { namespace, pollInterval } = step;
  const { probe: name, object } = rotationNames(operationId, step.id, work.attempt);
  const probe = probeOf(azure, work, signal);
  const limitInMs = 2_000 * (secondsOf(pollInterval) ?? 0) + limits.marginInMs;
  const vaultName = resourceName(step.vaultId);
  const at = vaultHostIn(azure.cloud, vaultName);
  const names = { pod: `${namespace}/${object}`, class: `${namespace}/${object}` };
  const facts: RotationFacts = { names, probe: name, vaultName, pollInterval, limitInMs };
  const objects: CsiObject[] = [{ objectName: name, objectType: step.probe, objectAlias: 'probe' }];
  return await inside(async (connection) => {
    const content = { ...(await approvedClass(connection, step, signal)), objects };
    const body = async (): Promise<object> => {
      const first = await firstVersion(probe);
      await ensureClass(connection, { work, name: object, content });
      return podOf(azure, { work, object, content, limits, limitInMs, first });
    };
    let secondSince: number | undefined;
    const atProgram = async (pod: SeenPod): Promise<string> => {
      if (secondSince === undefined) {
        if ((await probe.versions()).length <= Number(pod.metadata.annotations?.[COUNT])) await probe.make();
        secondSince = performance.now();
      }
      if (performance.now() - secondSince > limitInMs + REPORTS_WITHIN_MS)
        throw rotationFailed(facts, 'the program of the pod did not report in time.');
      return `the driver to renew the file of ${name} in the pod ${names.pod}: rotation is every ${pollInterval}, and it may take ${Math.round(limitInMs / 1_000)} s`;
    };
    const look = podLooks(connection, { names, at, operationId, signal, limits, body, atProgram });
    const ended = await lookUntil(work, { first: `the pod ${names.pod}`, everyMs: limits.everyMs }, look);
    return { probe: name, from: ended.annotations[FIRST] ?? '', to: judgeRotation(ended, facts) };
  });
}

/**
 * Removes what `proveRotation` made: pod, class, and the probe, which is soft-deleted. What is gone is fine.
 * @throws ApplicationFailure `RotationProbeRefused`, non-retryable; KubeError, VaultError
 */
export async function removeRotation(azure: Azure, work: Work): Promise<void> {
  const { step, operationId, inside } = work;
  const { namespace } = step;
  const { object } = rotationNames(operationId, step.id, work.attempt);
  const signal = AbortSignal.any([work.signal, AbortSignal.timeout(REMOVED_WITHIN_MS)]);
  const removals = await Promise.allSettled([
    inside(async (connection) => {
      await removePod(connection, { pod: `${namespace}/${object}`, class: '' }, operationId);
      await removeClass(connection, { work, name: object, signal });
    }),
    probeOf(azure, work, signal).remove(),
  ]);
  for (const one of removals) if (one.status === 'rejected') throw one.reason;
}

function probeOf(azure: Azure, { step, operationId, attempt }: Work, signal: AbortSignal): RotationProbe {
  const { probe: name } = rotationNames(operationId, step.id, attempt);
  return rotationProbe(azure, { type: step.probe, vaultId: step.vaultId, name, operationId }, signal);
}

/** The version that a pod will mount: the only one, or a new one where an earlier pod may have seen a second. */
async function firstVersion(probe: RotationProbe): Promise<{ readonly version: string; readonly count: number }> {
  const versions = await probe.versions();
  const [only] = versions;
  if (only !== undefined && versions.length === 1) return { version: only, count: 1 };
  return { version: await probe.make(), count: versions.length + 1 };
}

async function ensureClass(
  connection: KubeConnection,
  { work, name, content }: { readonly work: Work; readonly name: string; readonly content: ClassContent },
): Promise<void> {
  const { step, operationId, signal } = work;
  const { namespace } = step;
  const body = {
    apiVersion: 'secrets-store.csi.x-k8s.io/v1',
    kind: 'SecretProviderClass',
    metadata: { namespace, name, labels: connectionLabels(operationId) },
    spec: { provider: 'azure', parameters: classParameters(content) },
  };
  try {
    await connection.request({ method: 'POST', path: `${classPath(namespace)}${AS_KEYTURN}`, body, signal });
  } catch (error) {
    // An earlier try made it.
    if (!(error instanceof KubeError) || error.status !== 409) throw error;
    const found = await findPart(connection, classPath(namespace, name), signal);
    if (found && isOf(found, operationId)) return;
    throw notAsApproved(`There is a SecretProviderClass ${namespace}/${name} that Keyturn did not make.`);
  }
}

async function removeClass(
  connection: KubeConnection,
  { work, name, signal }: { readonly work: Work; readonly name: string; readonly signal: AbortSignal },
): Promise<void> {
  const path = classPath(work.step.namespace, name);
  const found = await findPart(connection, path, signal);
  if (!found || !isOf(found, work.operationId)) return;
  const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid: found.metadata.uid } };
  await unlessMissing(() => connection.request({ method: 'DELETE', path, body, signal }));
}

type Labels = Readonly<Record<string, string>> | null | undefined;

function isOf({ metadata }: { readonly metadata: { readonly labels?: Labels } }, operationId: string): boolean {
  return Object.entries(connectionLabels(operationId)).every(([label, value]) => metadata.labels?.[label] === value);
}

function podOf(
  { cloud }: Pick<Azure, 'cloud'>,
  of: {
    readonly work: Work;
    readonly object: string;
    readonly content: ClassContent;
    readonly limits: RotationLimits;
    readonly limitInMs: number;
    readonly first: { readonly version: string; readonly count: number };
  },
): object {
  const { work, object, content, limits, limitInMs, first } = of;
  const { step, operationId } = work;
  return mountPod({
    step: { ...step, class: object, objects: [...content.objects] },
    operationId,
    content,
    vaultUrl: `https://${vaultHostIn(cloud, content.vaultName).host}`,
    authorityHost: cloud.authorityHost,
    other: {
      name: object,
      annotations: { [FIRST]: first.version, [COUNT]: String(first.count) },
      program: rotationProgramText(),
      env: {
        KEYTURN_PROBE: JSON.stringify(content.objects[0]),
        KEYTURN_FIRST_VERSION: first.version,
        KEYTURN_LIMIT_IN_MS: String(limitInMs),
      },
      lifeInSeconds: SPARE_LIFE_IN_S + Math.ceil((limits.startsWithinMs + limits.mountsWithinMs + limitInMs) / 1_000),
    },
  });
}
