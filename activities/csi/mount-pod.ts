/** The pod that mounts a class and compares: what it is made of, and what its status says. Pure. */
import { z } from 'zod';
import { sha256Hex } from '../../domain/canonical';
import { TOKEN_AUDIENCE } from '../../domain/csi/parameters';
import type { ClassContent } from '../../domain/csi/secret-provider-class';
import type { StepOf } from '../../domain/plan/steps';
import { connectionLabels } from './label';
import { mountProgramText, type MountEnvironment } from './mount-program';
import type { RotationEnvironment } from './rotation-program';
import { DRIVER } from './objects';

/** Of the container; a service mesh may add others. */
const CONTAINER = 'compare';
const FILES = '/mnt/keyturn/files';
const TOKEN = '/mnt/keyturn/token';
const REPORT = '/dev/termination-log';
/** Ends a pod that no worker looks after any more. */
const LONGEST_LIFE_IN_S = 1200;
const NOBODY = 65_532;

/** What a pod is made for. */
export interface MountPodInput {
  readonly step: Pick<StepOf<'prove-mount'>, 'id' | 'namespace' | 'class' | 'serviceAccount' | 'objects' | 'image'>;
  readonly operationId: string;
  /** The class, as the cluster has it. */
  readonly content: ClassContent;
  readonly vaultUrl: string;
  readonly authorityHost: string;
  /** For another program than the comparison. */
  readonly other?: {
    readonly name: string;
    readonly annotations: Readonly<Record<string, string>>;
    readonly program: string;
    readonly env: Omit<RotationEnvironment, keyof MountEnvironment>;
    readonly lifeInSeconds: number;
  };
}

/** The name of the pod of a step: the same for every try. */
export function mountPodName(operationId: string, step: string): string {
  return `keyturn-mount-${sha256Hex(`${operationId}\n${step}`).slice(0, 16)}`;
}

/** The whole pod. It holds nothing secret, and meets the "restricted" policy unless a file of the class is for root alone. */
export function mountPod({ step, operationId, content, vaultUrl, authorityHost, other }: MountPodInput): object {
  const { namespace, serviceAccount, objects, image } = step;
  const { identity, tenantId } = content;
  const byAccount = identity.mode === 'workload-identity';
  const env: MountEnvironment & Partial<RotationEnvironment> = {
    KEYTURN_OBJECTS: JSON.stringify(objects),
    KEYTURN_MOUNT: FILES,
    KEYTURN_VAULT: vaultUrl,
    KEYTURN_REPORT: REPORT,
    KEYTURN_TOKEN: byAccount ? TOKEN : '',
    AZURE_CLIENT_ID: identity.clientId ?? '',
    AZURE_TENANT_ID: tenantId,
    AZURE_AUTHORITY_HOST: authorityHost,
    ...other?.env,
  };
  const token = { serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: 3600, path: 'token' } };
  // Files belong to root. With 0400 no other user can compare them.
  const forRoot = objects.some(({ filePermission = '0644' }) => (Number.parseInt(filePermission, 8) & 0o4) === 0);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace,
      name: other?.name ?? mountPodName(operationId, step.id),
      labels: { ...connectionLabels(operationId), 'sidecar.istio.io/inject': 'false' },
      ...(other ? { annotations: other.annotations } : {}),
    },
    spec: {
      restartPolicy: 'Never',
      activeDeadlineSeconds: other?.lifeInSeconds ?? LONGEST_LIFE_IN_S,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      nodeSelector: { 'kubernetes.io/os': 'linux' },
      ...(serviceAccount === null ? {} : { serviceAccountName: serviceAccount }),
      securityContext: {
        runAsNonRoot: !forRoot,
        runAsUser: forRoot ? 0 : NOBODY,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: CONTAINER,
          image,
          command: ['node', '-e', other?.program ?? mountProgramText()],
          env: Object.entries(env).map(([name, value]) => ({ name, value: value as string })),
          terminationMessagePath: REPORT,
          terminationMessagePolicy: 'File',
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
          resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '500m', memory: '192Mi' } },
          volumeMounts: [
            { name: 'files', mountPath: FILES, readOnly: true },
            ...(byAccount ? [{ name: 'token', mountPath: TOKEN, readOnly: true }] : []),
          ],
        },
      ],
      volumes: [
        {
          name: 'files',
          csi: { driver: DRIVER, readOnly: true, volumeAttributes: { secretProviderClass: step.class } },
        },
        ...(byAccount ? [{ name: 'token', projected: { sources: [token] } }] : []),
      ],
    },
  };
}

const State = z.object({
  waiting: z.object({ reason: z.string().default('') }).nullish(),
  running: z.object({}).nullish(),
  terminated: z
    .object({ exitCode: z.number(), reason: z.string().default(''), message: z.string().default('') })
    .nullish(),
});

/** The pod as the cluster has it. */
export const SeenPod = z.object({
  metadata: z.object({
    uid: z.string(),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
    deletionTimestamp: z.string().optional(),
  }),
  status: z
    .object({
      phase: z.string().default('Pending'),
      reason: z.string().nullish(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).nullish(),
      containerStatuses: z.array(z.object({ name: z.string(), state: State.default({}) })).nullish(),
    })
    .prefault({}),
});
/** The pod as the cluster has it. */
export type SeenPod = z.infer<typeof SeenPod>;

/** How far a pod is. */
export type PodProgress =
  | { readonly at: 'scheduling' | 'mount' | 'image' | 'program'; readonly detail: string }
  | { readonly at: 'end'; readonly message: string; readonly detail: string };

/** How far the pod is; `detail` is a code of Kubernetes, or empty. */
export function progressOf({ status }: SeenPod): PodProgress {
  const state = status.containerStatuses?.find(({ name }) => name === CONTAINER)?.state ?? {};
  if (state.terminated) {
    const { exitCode, reason, message } = state.terminated;
    return { at: 'end', message, detail: `exit code ${exitCode}${word(reason)}` };
  }
  if (status.phase === 'Failed' || status.phase === 'Succeeded') {
    return { at: 'end', message: '', detail: `phase ${status.phase}${word(status.reason ?? '')}` };
  }
  if (state.running) return { at: 'program', detail: '' };
  const { reason = '' } = state.waiting ?? {};
  const isScheduled = status.conditions?.some(({ type, status: is }) => type === 'PodScheduled' && is === 'True');
  if (reason !== '' && reason !== 'ContainerCreating') return { at: 'image', detail: word(reason).trim() };
  return { at: isScheduled === true ? 'mount' : 'scheduling', detail: '' };
}

/** Codes only: a runtime may write anything. */
function word(reason: string): string {
  return /^[A-Za-z]{1,60}$/.test(reason) ? ` (${reason})` : '';
}
