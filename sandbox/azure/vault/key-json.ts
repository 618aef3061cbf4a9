/** Keys as Key Vault writes them on the wire (facts section 3). Public parts only. */
import type { JsonObject } from '../json';
import { datesOf, recoveryOf } from './attributes';
import { latestVersion, type KeyVersion, type NamedKey } from './key-ring';
import { vaultHost, type Vault } from './registry';

/** The id of a key, or of one version of it. */
export function kidOf(vault: Vault, name: string, version?: KeyVersion): string {
  const base = `https://${vaultHost(vault)}/keys/${name}`;
  return version === undefined ? base : `${base}/${version.version}`;
}

/** A KeyBundle: the public key, attributes and tags of one version. */
export function keyBundle(vault: Vault, name: string, version: KeyVersion): JsonObject {
  const { material } = version;
  const { n, e, x, y } = material.publicKey.export({ format: 'jwk' });
  const numbers = material.type === 'RSA' ? { n, e } : { crv: material.curve, x, y };
  return {
    key: { kid: kidOf(vault, name, version), kty: material.type, key_ops: version.keyOps, ...numbers },
    attributes: keyAttributes(vault, version),
    tags: version.tags,
    ...managedFlag(version),
  };
}

/** A KeyItem of `GET /keys`: the id has no version, the attributes are those of the latest. */
export function keyItem(vault: Vault, key: NamedKey): JsonObject {
  const latest = latestVersion(key);
  return {
    kid: kidOf(vault, key.name),
    attributes: keyAttributes(vault, latest),
    tags: latest.tags,
    ...managedFlag(latest),
  };
}

/** A KeyItem of `GET /keys/{name}/versions`. */
export function keyVersionItem(vault: Vault, name: string, version: KeyVersion): JsonObject {
  return {
    kid: kidOf(vault, name, version),
    attributes: keyAttributes(vault, version),
    tags: version.tags,
    ...managedFlag(version),
  };
}

/** What a deleted key shows besides its bundle or item. */
export function deletionFields(vault: Vault, key: NamedKey): JsonObject {
  return { recoveryId: `https://${vaultHost(vault)}/deletedkeys/${key.name}`, ...key.deleted };
}

function managedFlag(version: KeyVersion): JsonObject {
  return version.managed === true ? { managed: true } : {};
}

function keyAttributes(vault: Vault, version: KeyVersion): JsonObject {
  return {
    ...datesOf(version),
    ...recoveryOf(vault),
    exportable: version.exportable ?? false,
    hsmPlatform: '0',
  };
}
