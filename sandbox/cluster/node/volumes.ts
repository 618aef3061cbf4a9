/**
 * The volumes of a pod: those of the CSI driver, projected service account tokens, and empty directories.
 *
 * Needs: the API server, the driver.
 * Does: what a kubelet does with each, with the words that it has for failures.
 * Never does: mount in the sense of the kernel. A volume is a directory below the pod's own.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf } from '../../message-of';
import type { SecretsProviderConfig } from './contract';
import { DRIVER_NAME, TOKEN_AUDIENCE } from './crds';
import { publishVolume, type DriverOptions } from './driver';
import type { KubeClient } from './kube-client';
import type { Pod, Volume } from './pod';
import { syncSecrets, type SyncOptions } from './secret-sync';
import { requestToken } from './service-account-tokens';

/** What volumes are mounted with. */
export interface VolumeOptions extends DriverOptions, SyncOptions {
  /** The add-on at the moment; undefined when it is off. */
  readonly driver: () => SecretsProviderConfig | undefined;
}

/** The real directory of a volume, as a kubelet lays it out below the pod's own. */
export function volumePath(podDirectory: string, volume: Volume): string {
  if (volume.csi !== undefined) return join(podDirectory, 'volumes', 'kubernetes.io~csi', volume.name, 'mount');
  const plugin = volume.projected === undefined ? 'kubernetes.io~empty-dir' : 'kubernetes.io~projected';
  return join(podDirectory, 'volumes', plugin, volume.name);
}

/** Whether it is a volume of the Secrets Store CSI driver. */
export function isSecretsVolume({ csi }: Volume): boolean {
  return csi?.driver === DRIVER_NAME;
}

/** Mounts a volume. @throws Error with the message of a `FailedMount` event */
export async function mountVolume(
  options: VolumeOptions,
  pod: Pod,
  volume: Volume,
  podDirectory: string,
): Promise<void> {
  const path = volumePath(podDirectory, volume);
  try {
    if (isSecretsVolume(volume)) await publishSecrets(options, pod, volume, path);
    else if (volume.projected !== undefined) await projectTokens(options.client, pod, volume.projected, path);
    else if (volume.emptyDir !== undefined) await mkdir(path, { recursive: true });
    else {
      throw new Error(
        "the sandbox's node mounts volumes of the Secrets Store CSI driver, projected service account tokens and emptyDir, and no others",
      );
    }
  } catch (error) {
    throw new Error(`MountVolume.SetUp failed for volume "${volume.name}" : ${messageOf(error)}`, { cause: error });
  }
}

/** Publishes a volume of the driver, for the first time or again. @throws Error with what kubelet and driver say */
export async function publishSecrets(
  options: VolumeOptions,
  pod: Pod,
  volume: Volume,
  targetPath: string,
): Promise<void> {
  if (options.driver() === undefined) {
    throw new Error(
      `kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name ${DRIVER_NAME} not found in the list of registered CSI drivers`,
    );
  }
  let token: string;
  try {
    token = await requestToken(options.client, pod, TOKEN_AUDIENCE);
  } catch (error) {
    // The spelling is Kubernetes' own.
    const reason = `failed to fetch token: ${messageOf(error)}`;
    throw new Error(`kubernetes.io/csi: mounter.SetUpAt failed to get service accoount token attributes: ${reason}`, {
      cause: error,
    });
  }
  const tokens = { [TOKEN_AUDIENCE]: token };
  const secretClass = await publishVolume(options, { pod, volume, targetPath, tokens });
  await syncSecrets(options, pod, secretClass, targetPath);
}

async function projectTokens(
  client: KubeClient,
  pod: Pod,
  { sources }: NonNullable<Volume['projected']>,
  directory: string,
): Promise<void> {
  for (const { serviceAccountToken } of sources) {
    if (serviceAccountToken === undefined) {
      throw new Error("the sandbox's node projects service account tokens, and no other sources");
    }
    const { path, audience, expirationSeconds } = serviceAccountToken;
    await writeToken(client, pod, join(directory, path), { audience, expirationSeconds });
  }
}

/** Writes a token of the pod's service account to a file. @throws Error as a kubelet says it */
export async function writeToken(
  client: KubeClient,
  pod: Pod,
  file: string,
  { audience, expirationSeconds }: { readonly audience?: string; readonly expirationSeconds?: number },
): Promise<void> {
  let token: string;
  try {
    token = await requestToken(client, pod, audience, expirationSeconds);
  } catch (error) {
    throw new Error(`failed to fetch token: ${messageOf(error)}`, { cause: error });
  }
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, token, { mode: 0o600 });
}
