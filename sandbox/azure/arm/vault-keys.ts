/**
 * Microsoft.KeyVault/vaults/keys: what ARM shows of the keys in a vault, whatever the vault's network (API reference: Keys, ARM).
 *
 * Does: reads keys and versions, and makes the first version of a new key. As the service: no second version, no change of a key.
 * Never does: ask the vault's own rights; the roles of ARM decide.
 */
import { Router } from 'express';
import { z } from 'zod';
import { badRequest, resourceNotFound } from '../errors';
import { describeIssues, type JsonObject } from '../json';
import { DEFAULT_KEY_OPS, latestVersion, requireKeyName, type KeyVersion, type NamedKey } from '../vault/key-ring';
import { kidOf } from '../vault/key-json';
import type { Vault, VaultRegistry } from '../vault/registry';

const TYPE = 'Microsoft.KeyVault/vaults/keys';
const VAULTS = 'Microsoft.KeyVault/vaults';

const bodySchema = z.looseObject({
  tags: z.record(z.string(), z.string()).default({}),
  properties: z.looseObject({
    kty: z.enum(['RSA', 'RSA-HSM']),
    keySize: z.union([z.literal(2048), z.literal(3072), z.literal(4096)]).default(2048),
    keyOps: z.array(z.string()).default([...DEFAULT_KEY_OPS]),
    attributes: z
      .looseObject({ enabled: z.boolean().optional(), exp: z.number().optional(), nbf: z.number().optional() })
      .default({}),
  }),
});

/** Routes of keys in ARM. */
export function vaultKeysRouter(registry: VaultRegistry): Router {
  const router = Router();
  const keys = `/subscriptions/:subscription/resourceGroups/:group/providers/${VAULTS}/:vault/keys`;

  router.get(keys, (request, response) => {
    const vault = vaultOf(request.params);
    response.json({ value: vault.keys.list().map((key) => bodyOf(vault, key, latestVersion(key))) });
  });

  router.get(`${keys}/:key`, (request, response) => {
    const vault = vaultOf(request.params);
    const key = vault.keys.get(request.params.key);
    response.json(bodyOf(vault, key, latestVersion(key)));
  });

  router.put(`${keys}/:key`, async (request, response) => {
    const vault = vaultOf(request.params);
    const { key: name } = request.params;
    requireKeyName(name);
    const parsed = bodySchema.safeParse(request.body);
    if (!parsed.success) throw badRequest(describeIssues(parsed.error), 'InvalidRequestContent');
    const known = vault.keys.list().find((one) => one.name.toLowerCase() === name.toLowerCase());
    if (known !== undefined) {
      response.json(bodyOf(vault, known, latestVersion(known)));
      return;
    }
    const { tags, properties } = parsed.data;
    const { keySize, keyOps, attributes } = properties;
    const { key, version } = await vault.keys.create(name, {
      ...attributes,
      kind: { type: 'RSA', sizeInBits: keySize },
      keyOps,
      tags,
    });
    response.json(bodyOf(vault, key, version));
  });

  router.get(`${keys}/:key/versions`, (request, response) => {
    const vault = vaultOf(request.params);
    const key = vault.keys.get(request.params.key);
    response.json({ value: key.versions.map((version) => bodyOf(vault, key, version, true)) });
  });

  router.get(`${keys}/:key/versions/:version`, (request, response) => {
    const vault = vaultOf(request.params);
    const key = vault.keys.get(request.params.key);
    response.json(bodyOf(vault, key, vault.keys.getVersion(key.name, request.params.version), true));
  });

  function vaultOf({ group, vault: name }: Record<'group' | 'vault', string>): Vault {
    const found = registry
      .all()
      .find(
        (vault) =>
          vault.deletedAt === undefined &&
          vault.name.toLowerCase() === name.toLowerCase() &&
          vault.resourceGroup.toLowerCase() === group.toLowerCase(),
      );
    if (found === undefined) throw resourceNotFound(VAULTS, name, group);
    return found;
  }
  return router;
}

function bodyOf(vault: Vault, { name }: NamedKey, version: KeyVersion, isVersion = false): JsonObject {
  const { enabled, exp, nbf, created, updated, material } = version;
  const id = `${vault.id}/keys/${name}`;
  return {
    id: isVersion ? `${id}/versions/${version.version}` : id,
    name: isVersion ? version.version : name,
    type: isVersion ? `${TYPE}/versions` : TYPE,
    location: vault.location,
    tags: version.tags,
    properties: {
      attributes: { enabled, exp, nbf, created, updated },
      kty: material.type,
      keyOps: version.keyOps,
      ...(material.type === 'RSA' ? { keySize: material.sizeInBits } : { curveName: material.curve }),
      keyUri: kidOf(vault, name),
      keyUriWithVersion: kidOf(vault, name, version),
    },
  };
}
