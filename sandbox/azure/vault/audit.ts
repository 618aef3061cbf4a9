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
  sign: 'KeySign',
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

/** What each collection is called in the names of operations. */
const NOUNS: Readonly<Record<string, string>> = { keys: 'Key', secrets: 'Secret', certificates: 'Certificate' };

function operationOf(method: string, path: string): string {
  const [first = '', name, ...rest] = path.split('/').filter((segment) => segment !== '');
  const collection = first.toLowerCase().replace(/^deleted/, '');
  const noun = NOUNS[collection] ?? 'Key';
  const deleted = first.toLowerCase().startsWith('deleted') ? 'Deleted' : '';
  const last = rest.at(-1)?.toLowerCase() ?? '';
  switch (method) {
    case 'POST':
      return noun === 'Key' ? (POSTED[last] ?? 'Unknown') : `${noun}${last.replace(/^./, (one) => one.toUpperCase())}`;
    case 'PUT':
      return `${noun}Set`;
    case 'PATCH':
      return `${noun}Update`;
    case 'DELETE':
      return deleted === '' ? `${noun}Delete` : `${noun}Purge`;
    default:
      if (name === undefined) return `${noun}List${deleted}`;
      return last === 'versions' ? `${noun}ListVersions` : `${noun}Get${deleted}`;
  }
}
