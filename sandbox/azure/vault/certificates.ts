/**
 * What happens to the key and the secret of a certificate when something happens to the certificate.
 *
 * Needs: the books of one vault.
 * Does: adds, enables, disables, deletes and recovers the three together.
 * Never does: leave a key or a secret behind whose certificate is gone.
 */
import { randomBytes } from 'node:crypto';
import { AzureError } from '../errors';
import type { CertificateVersion } from './certificate-book';
import type { MadeCertificate } from './certificate-maker';
import { DEFAULT_KEY_OPS, nowInSeconds } from './key-ring';
import type { NamedObject } from './named-objects';
import type { Vault } from './registry';

/** What a caller says about a new version besides its content. */
export interface CertificateRequest {
  readonly enabled?: boolean;
  readonly tags?: Readonly<Record<string, string>>;
}

/** @throws AzureError 409 when a key or a secret that is no certificate's has the name, or the name is soft-deleted */
export function refuseTakenName(vault: Vault, name: string): void {
  vault.certificates.refuseDeleted(name);
  vault.secrets.refuseDeleted(name);
  const secret = vault.secrets.find(name)?.versions.at(-1);
  if (!vault.keys.hasOwn(name) && (secret === undefined || secret.managed === true)) return;
  throw new AzureError(
    409,
    'Conflict',
    `A key or a secret with the name ${name} is in this vault, and belongs to no certificate: a certificate of that name cannot be made.`,
    { innerCode: 'SandboxNameIsTaken' },
  );
}

/** Adds a version of a certificate, with its key and its secret. */
export function addCertificate(
  vault: Vault,
  name: string,
  made: MadeCertificate,
  { enabled = true, tags = {} }: CertificateRequest,
): CertificateVersion {
  const now = nowInSeconds();
  const version: CertificateVersion = {
    version: randomBytes(16).toString('hex'),
    made,
    enabled,
    tags,
    created: now,
    updated: now,
    nbf: made.nbf,
    exp: made.exp,
  };
  vault.certificates.add(name, version);
  addParts(vault, name, version);
  return version;
}

/** Changes a version, and the attributes of its key and its secret with it. */
export function updateCertificate(
  vault: Vault,
  name: string,
  version: CertificateVersion,
  change: CertificateRequest,
): void {
  const { enabled = version.enabled, tags = version.tags } = change;
  const updated = nowInSeconds();
  const parts = [vault.keys.getVersion(name, version.version), vault.secrets.getVersion(name, version.version)];
  for (const part of [version, ...parts]) Object.assign(part, { enabled, updated });
  version.tags = tags;
}

/** Soft-deletes a certificate; its key and its secret cannot be read any more. */
export function deleteCertificate(vault: Vault, name: string): NamedObject<CertificateVersion> {
  const deleted = vault.certificates.delete(name, vault.properties.softDeleteRetentionInDays);
  vault.keys.disown(name);
  vault.secrets.remove(name);
  return deleted;
}

/** Brings a soft-deleted certificate back, with its key and its secret. */
export function recoverCertificate(vault: Vault, name: string): NamedObject<CertificateVersion> {
  const certificate = vault.certificates.recover(name);
  for (const version of certificate.versions) addParts(vault, certificate.name, version);
  return certificate;
}

function addParts(vault: Vault, name: string, certificate: CertificateVersion): void {
  const { version, made, enabled, created, updated, nbf, exp, tags } = certificate;
  const common = { version, enabled, created, updated, nbf, exp, tags, managed: true } as const;
  vault.keys.adopt(name, {
    ...common,
    material: { type: 'RSA', sizeInBits: made.sizeInBits, ...made.rsa },
    keyOps: DEFAULT_KEY_OPS,
    exportable: made.exportable,
  });
  vault.secrets.add(name, { ...common, value: made.secret, contentType: made.contentType });
}
