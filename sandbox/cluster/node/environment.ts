/**
 * The environment of a container that is no container: what the pod says, with paths that exist on this machine.
 *
 * Needs: the API server, for Secrets.
 * Does: replaces each value that is a path in a mount, or that of the termination message, by the real path; adds what a client of the
 *       sandbox needs.
 * Never does: replace a part of a value.
 */
import type { AzureAccess } from './contract';
import type { JsonObject } from './json';
import type { KubeClient } from './kube-client';
import { serviceAccountOf, type Container, type Pod } from './pod';
import type { RealPaths } from './real-paths';

/** A variable that cannot be had yet: `CreateContainerConfigError`. */
export class EnvironmentError extends Error {
  override readonly name = 'EnvironmentError';
}

/** What the environment is made of. */
export interface EnvironmentOptions {
  readonly client: KubeClient;
  readonly azure: AzureAccess;
  /** Where the node's metadata service is. */
  readonly metadataUrl: string;
  readonly nodeName: string;
  readonly paths: RealPaths;
}

/** The whole environment of a container. @throws EnvironmentError when a Secret or a field that it names is missing */
export async function environmentOf(
  { client, azure, metadataUrl, nodeName, paths }: EnvironmentOptions,
  pod: Pod,
  container: Container,
): Promise<Record<string, string>> {
  const environment: Record<string, string> = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOSTNAME: pod.metadata.name,
    HTTPS_PROXY: azure.proxyUrl,
    NO_PROXY: '127.0.0.1,localhost',
    NODE_EXTRA_CA_CERTS: azure.caFile,
    AZURE_POD_IDENTITY_AUTHORITY_HOST: metadataUrl,
  };
  for (const { name, value, valueFrom } of container.env) {
    const given = valueFrom === undefined ? (value ?? '') : await valueOf(client, pod, nodeName, name, valueFrom);
    if (given !== undefined) environment[name] = paths.realOf(given);
  }
  return environment;
}

type ValueFrom = NonNullable<Container['env'][number]['valueFrom']>;

async function valueOf(
  client: KubeClient,
  pod: Pod,
  nodeName: string,
  name: string,
  { fieldRef, secretKeyRef }: ValueFrom,
): Promise<string | undefined> {
  const { metadata } = pod;
  if (fieldRef !== undefined) {
    const fields: Readonly<Record<string, string>> = {
      'metadata.name': metadata.name,
      'metadata.namespace': metadata.namespace,
      'metadata.uid': metadata.uid,
      'spec.nodeName': nodeName,
      'spec.serviceAccountName': serviceAccountOf(pod),
      'status.hostIP': '127.0.0.1',
      'status.podIP': '127.0.0.1',
    };
    const value = fields[fieldRef.fieldPath];
    if (value !== undefined) return value;
  }
  if (secretKeyRef !== undefined) {
    const secret = await client.find(`/api/v1/namespaces/${metadata.namespace}/secrets/${secretKeyRef.name}`);
    const data = (secret?.['data'] ?? {}) as JsonObject;
    const value = data[secretKeyRef.key];
    if (typeof value === 'string') return Buffer.from(value, 'base64').toString();
    if (secretKeyRef.optional === true) return undefined;
    throw new EnvironmentError(
      secret === undefined
        ? `secret "${secretKeyRef.name}" not found`
        : `couldn't find key ${secretKeyRef.key} in Secret ${metadata.namespace}/${secretKeyRef.name}`,
    );
  }
  throw new EnvironmentError(`The sandbox's node knows no value of this kind: ${name}.`);
}
