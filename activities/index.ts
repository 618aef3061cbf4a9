/**
 * The activities of the worker: each takes its input, does its work with the parts below, and says what went wrong in
 * codes of the error table.
 */
import type { AzureAccess } from '../azure/access';
import type { ErrorCode } from '../domain/errors';
import { AWAIT_LIMITS } from './arm/await-operation';
import { awaitClusterChange, submitClusterChange, verifyCluster } from './arm/cluster-change';
import { awaitClusterIdle } from './arm/cluster-idle';
import { removeCanaries, takeBaseline } from './canaries';
import { createClusterConnections } from './cluster-connections';
import type { Activities } from './contract';
import { awaitConvergence } from './convergence';
import { refuseUsedOperationId, sealEvidence, type EvidenceStore } from './evidence';
import { toFailure } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { changeLedger } from './ledger';
import { checkRules, makePlan } from './observe';
import { currentActivity, heartbeating, type Running } from './running';
import { takeCensus } from './secrets/census';
import type { Pace } from './secrets/pass';
import { proveSecrets } from './secrets/proof';
import { rewriteSecrets } from './secrets/rewrite';
import { createKeyVersion } from './vault';

/** What activities work with. */
export interface ActivityDeps {
  readonly azure: AzureAccess;
  readonly evidence: EvidenceStore;
  /** How fast any rewrite may be; a cluster's own ceiling comes with each. */
  readonly pace: Omit<Pace, 'perSecond'>;
  /** A cluster that rests for so long while its operation in Azure shows no end decides by its own state. */
  readonly clusterDecidesAfterInMs?: number;
}

/** How an activity runs. */
interface RunOptions {
  /** Its heartbeats carry details. */
  readonly tellsProgress?: boolean;
  /** The code of a refusal by ARM. */
  readonly armRefusal?: ErrorCode;
  /** The code of a refusal by a vault. */
  readonly vaultRefusal?: ErrorCode;
}

/** Makes the activities; contacts nobody yet. */
export function createActivities({ azure, evidence, pace, clusterDecidesAfterInMs }: ActivityDeps): Activities {
  // One more for whatever is asked beside the Secrets.
  const connections = createClusterConnections(azure.clusters, pace.inFlight + 1);
  const awaitLimits = { ...AWAIT_LIMITS, restsInMs: clusterDecidesAfterInMs ?? AWAIT_LIMITS.restsInMs };

  /** Work in Azure alone. Temporal hears every second that it lives, unless it tells its progress itself. */
  const run = async <T>(
    doing: string,
    work: (running: Running) => Promise<T>,
    options: RunOptions = {},
  ): Promise<T> => {
    const running = currentActivity();
    try {
      if (options.tellsProgress) return await work(running);
      return await heartbeating(
        running,
        () => undefined,
        () => work(running),
      );
    } catch (error) {
      // Whatever broke because of a cancellation, the cancellation is what happened.
      running.signal.throwIfAborted();
      throw toFailure(error, { doing, armRefusal: options.armRefusal, vaultRefusal: options.vaultRefusal });
    }
  };
  /** Work inside the cluster: what ARM refuses here is the way into it. */
  const runInside = <T>(
    doing: string,
    cluster: string,
    work: (connection: KubeConnection, running: Running) => Promise<T>,
    options: RunOptions = {},
  ): Promise<T> =>
    run(doing, (running) => connections.use(cluster, running.signal, (connection) => work(connection, running)), {
      ...options,
      armRefusal: 'ClusterAccessRefused',
    });

  return {
    checkRules: ({ request }) =>
      run('Checking the rules', ({ signal }) => checkRules(azure, request, signal), {
        armRefusal: 'ClusterAccessRefused',
      }),
    makePlan: (input) =>
      run(
        'Making the plan',
        ({ signal }) =>
          makePlan(azure, input, (work) => connections.use(input.request.cluster, signal, work), signal, evidence),
        { armRefusal: 'ClusterAccessRefused' },
      ),
    takeCensus: ({ cluster, perSecond, earlier }) =>
      runInside(
        'Taking the census of Secrets',
        cluster,
        (connection, running) => takeCensus(connection, { ...pace, perSecond }, running, { earlier }),
        { tellsProgress: true },
      ),
    createKeyVersion: (input) =>
      run('Making a new key version', ({ signal }) => createKeyVersion(azure.keys, input, signal), {
        vaultRefusal: 'CreateKeyRefused',
      }),
    submitClusterChange: (input) =>
      run('Changing the cluster', ({ signal }) => submitClusterChange(azure, input, signal)),
    awaitClusterChange: (input) =>
      run(
        'Waiting for the change of the cluster',
        (running) => awaitClusterChange(azure, input, running, awaitLimits),
        {
          tellsProgress: true,
        },
      ),
    awaitClusterIdle: (input) =>
      run('Waiting until Azure is not changing the cluster', (running) => awaitClusterIdle(azure, input, running), {
        tellsProgress: true,
      }),
    verifyCluster: (input) => run('Checking the cluster', ({ signal }) => verifyCluster(azure, input, signal)),

    takeBaseline: ({ cluster, operationId }) =>
      runInside('Taking the baseline', cluster, (connection, { signal }) =>
        takeBaseline(connection, operationId, signal),
      ),
    awaitConvergence: (input) =>
      runInside(
        'Waiting for convergence',
        input.cluster,
        (connection, running) => awaitConvergence(connection, input, running),
        { tellsProgress: true },
      ),
    rewriteSecrets: ({ cluster, bounds, operationId, perSecond }) =>
      runInside(
        'Rewriting Secrets',
        cluster,
        (connection, running) =>
          rewriteSecrets(connection, { bounds, operationId, pace: { ...pace, perSecond } }, running),
        { tellsProgress: true },
      ),
    proveSecrets: ({ cluster, perSecond, ...input }) =>
      runInside(
        'Proving Secrets',
        cluster,
        (connection, running) => proveSecrets(connection, { ...input, pace: { ...pace, perSecond } }, running),
        { tellsProgress: true },
      ),
    removeCanaries: ({ cluster, operationId }) =>
      runInside('Removing canaries', cluster, (connection, { signal }) =>
        removeCanaries(connection, operationId, signal),
      ),
    changeLedger: ({ cluster, ...input }) =>
      runInside('Writing the ledger', cluster, (connection, { signal }) => changeLedger(connection, input, { signal })),

    refuseUsedOperationId: ({ operationId }) =>
      run('Looking for earlier evidence', () => refuseUsedOperationId(operationId, evidence)),
    sealEvidence: ({ record }) => run('Sealing the evidence', () => sealEvidence(record, evidence)),
  };
}
