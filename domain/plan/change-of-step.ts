/** What a step asks of ARM: a pure function of the approved step and of the key ids that earlier steps made. */
import type { ClusterChange, KmsProfile } from '../cluster-change';
import { resolveKey, type EncryptionState, type MadeKeys } from '../encryption';
import type { StepOf } from './steps';

/** A change of the cluster, and what the cluster must report before it. */
export interface ExpectedChange {
  readonly change: ClusterChange;
  readonly expect: KmsProfile;
}

/** A step that changes the cluster in ARM. */
export type ClusterStep = StepOf<
  | 'set-kms'
  | 'upgrade-control-plane'
  | 'upgrade-pool'
  | 'reconcile-cluster'
  | 'enable-vnet-integration'
  | 'stop-cluster'
  | 'start-cluster'
  | 'enable-secrets-provider'
  | 'enable-workload-identity'
  | 'disable-secrets-provider'
>;

/** The KMS profile that a state stands for. @throws Error when its key is not made yet */
export function profileOf(state: EncryptionState, made: MadeKeys): KmsProfile {
  if (state.mode === 'off') return { mode: 'off' };
  const { access, vaultId, key } = state;
  return { mode: 'on', keyId: resolveKey(key, made), access, ...(vaultId === undefined ? {} : { vaultId }) };
}

/** The change that a step asks for. @throws Error when its key is not made yet */
export function changeOf(step: ClusterStep, made: MadeKeys): ExpectedChange {
  return { change: asked(step, made), expect: profileOf(step.expect, made) };
}

function asked(step: ClusterStep, made: MadeKeys): ClusterChange {
  switch (step.type) {
    case 'set-kms':
      return { type: 'kms', to: profileOf(step.to, made) };
    case 'upgrade-control-plane':
      return { type: 'control-plane-version', to: step.to };
    case 'upgrade-pool':
      return { type: 'pool-version', pool: step.pool, to: step.to };
    case 'reconcile-cluster':
      // Without a principal, the profile that ARM reports: it is sent when the cluster is not Succeeded.
      return step.replaces === null
        ? { type: 'kms', to: profileOf(step.expect, made) }
        : { type: 'identity', replaces: step.replaces };
    case 'enable-vnet-integration':
      return { type: 'vnet-integration', subnetId: step.subnetId };
    case 'stop-cluster':
      return { type: 'power', to: 'Stopped' };
    case 'start-cluster':
      return { type: 'power', to: 'Running' };
    case 'enable-secrets-provider':
      return { type: 'secrets-provider', enabled: true, pollInterval: step.pollInterval };
    case 'disable-secrets-provider':
      return { type: 'secrets-provider', enabled: false, pollInterval: null };
    case 'enable-workload-identity':
      return { type: 'workload-identity' };
  }
}
