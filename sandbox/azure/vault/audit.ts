/**
 * Tells of each call of a vault, as Key Vault's AuditEvent does.
 *
 * Needs: whoever keeps the rows.
 * Does: names the operation of a request, and tells of it when its answer is decided.
 * Never does: tell of values: neither bodies nor key bytes.
 */
import type { Request, Response } from 'express';
import type { VaultCall } from '../arm/diagnostic-settings';
import type { VaultCaller } from './access';
import { vaultHost, type Vault } from './registry';

/** Takes what vaults tell. */
export type VaultAudit = (call: VaultCall) => void;

/** Operations by what their path ends with. Source: Key Vault documents, "Azure Key Vault logging". */
const POSTED: Readonly<Record<string, string>> = {
  create: 'KeyCreate',
  rotate: 'KeyRotate',
  encrypt: 'KeyEncrypt',
  decrypt: 'KeyDecrypt',
  wrapkey: 'KeyWrap',
  unwrapkey: 'KeyUnwrap',
  recover: 'KeyRecover',
};

/** Tells of an HTTP request when it is answered. */
export function auditRequest(
  request: Request,
  response: Response,
  { vault, caller }: { readonly vault: Vault; readonly caller: VaultCaller },
  audit: VaultAudit,
): void {
  const { method, path } = request;
  response.once('finish', () => {
    audit({
      ...callOf(vault, caller, path),
      operationName: operationOf(method, path),
      httpStatusCode: response.statusCode,
    });
  });
}

/** Who calls what: the part of a row that is the same for every way into a vault. @param path `/keys/NAME/VERSION/OPERATION` */
export function callOf(
  vault: Vault,
  { principal, origin }: VaultCaller,
  path: string,
): Omit<VaultCall, 'operationName' | 'httpStatusCode'> {
  const host = `https://${vaultHost(vault)}`;
  return {
    vaultId: vault.id,
    callerIpAddress: origin.kind === 'internet' ? origin.address : 'private endpoint',
    identity: { oid: principal.objectId, appid: principal.appId },
    id: `${host}${path.replace(/\/[a-z]+\/?$/, '')}`,
    requestUri: `${host}${path}`,
  };
}

function operationOf(method: string, path: string): string {
  const [collection = '', name, ...rest] = path.split('/').filter((segment) => segment !== '');
  const last = rest.at(-1)?.toLowerCase() ?? '';
  const deleted = collection.toLowerCase() === 'deletedkeys' ? 'Deleted' : '';
  switch (method) {
    case 'POST':
      return POSTED[last] ?? 'Unknown';
    case 'PATCH':
      return 'KeyUpdate';
    case 'DELETE':
      return deleted === '' ? 'KeyDelete' : 'KeyPurge';
    default:
      if (name === undefined) return `KeyList${deleted}`;
      return last === 'versions' ? 'KeyListVersions' : `KeyGet${deleted}`;
  }
}
