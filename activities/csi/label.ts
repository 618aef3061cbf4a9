/** How Keyturn knows what it made in a cluster: a label with the operation that made it. */
import { CONNECTION_LABEL, MADE_CONNECTION, type MadeConnection } from '../../domain/csi/facts';

/** The labels of an object that an operation makes. */
export function connectionLabels(operationId: string): Record<string, string> {
  return { [CONNECTION_LABEL]: operationId };
}

/** Whether Keyturn made it. */
export function isOurs({ labels }: { readonly labels?: Readonly<Record<string, string>> | null }): boolean {
  return labels?.[CONNECTION_LABEL] !== undefined;
}

/** The annotations of a class for which an operation is about to make a connection. */
export function connectionAnnotations({
  name,
  vaultId,
}: Pick<MadeConnection, 'name' | 'vaultId'>): Record<string, string> {
  return { [MADE_CONNECTION.name]: name, [MADE_CONNECTION.vaultId]: vaultId };
}

/** The connection that Keyturn made for a class of its own, by its annotations. */
export function notedConnection({
  labels,
  annotations,
  creationTimestamp: since,
}: {
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly creationTimestamp: string;
}): MadeConnection | undefined {
  const name = annotations?.[MADE_CONNECTION.name];
  const vaultId = annotations?.[MADE_CONNECTION.vaultId];
  return isOurs({ labels }) && name !== undefined && vaultId !== undefined ? { name, vaultId, since } : undefined;
}
