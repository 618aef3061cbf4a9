/**
 * The HTTP face of every vault's secrets.
 *
 * Needs: a way to the vault of a request whose caller holds a right.
 * Does: set, get, list, versions, update, delete, recover and purge, as Key Vault 7.4 and newer answer.
 * Never does: change the secret of a certificate: the certificate does.
 */
import { Router, type Response } from 'express';
import { z } from 'zod';
import { AzureError } from '../errors';
import type { JsonObject } from '../json';
import { attributesOf, attributesSchema, datesOf, recoveryOf, tagsSchema } from './attributes';
import { nowInSeconds } from './key-ring';
import { requireObjectName, type NamedObject } from './named-objects';
import { parseBody } from './parse-body';
import { SECRET_RIGHTS, type Right } from './permissions';
import { vaultHost, type Vault } from './registry';
import type { SecretVersion } from './secret-book';

/** The vault of a request whose caller holds a right, at the vault or at one object. @throws AzureError 403 */
export type Entitled = (response: Response, right: Right, name?: string) => Vault;

const setSchema = z.looseObject({
  value: z.string(),
  contentType: z.string().nullish(),
  attributes: attributesSchema.optional(),
  tags: tagsSchema.nullish(),
});
const updateSchema = setSchema.omit({ value: true });

/** The routes below `/secrets` and `/deletedsecrets`. */
export function secretRoutes(entitled: Entitled): Router {
  const router = Router();

  router.get('/secrets', (_request, response) => {
    const vault = entitled(response, SECRET_RIGHTS.list);
    response.json({ value: vault.secrets.list().map((secret) => secretItem(vault, secret)), nextLink: null });
  });

  router.put('/secrets/:name', (request, response) => {
    const { name } = request.params;
    const vault = entitled(response, SECRET_RIGHTS.set, name);
    requireObjectName(name, 'secret');
    refuseManaged(vault, name);
    const { value, contentType, tags, attributes } = parseBody(setSchema, request.body);
    const { secret, version } = vault.secrets.set(name, {
      value,
      contentType: contentType ?? undefined,
      tags: tags ?? undefined,
      ...attributesOf(attributes),
    });
    response.json(secretBundle(vault, secret.name, version));
  });

  router.get('/secrets/:name/versions', (request, response) => {
    const vault = entitled(response, SECRET_RIGHTS.list, request.params.name);
    const { name, versions } = vault.secrets.get(request.params.name);
    const value = versions.map((version) => versionItem(vault, name, version));
    response.json({ value, nextLink: null });
  });

  router.get('/secrets/:name{/:version}', (request, response) => {
    const { name, version } = request.params;
    const vault = entitled(response, SECRET_RIGHTS.get, name);
    const found = vault.secrets.getVersion(name, version);
    // Dates do not matter here: Key Vault gives a secret before its `nbf` and after its `exp` too.
    if (!found.enabled) {
      throw new AzureError(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.', {
        innerCode: 'SecretDisabled',
      });
    }
    response.json(secretBundle(vault, vault.secrets.get(name).name, found));
  });

  router.patch('/secrets/:name{/:version}', (request, response) => {
    const { name, version } = request.params;
    const vault = entitled(response, SECRET_RIGHTS.update, name);
    refuseManaged(vault, name);
    const found = vault.secrets.getVersion(name, version);
    const { contentType, tags, attributes } = parseBody(updateSchema, request.body);
    const { enabled, exp, nbf } = attributesOf(attributes);
    if (enabled !== undefined) found.enabled = enabled;
    if (exp !== undefined) found.exp = exp;
    if (nbf !== undefined) found.nbf = nbf;
    if (contentType !== undefined && contentType !== null) found.contentType = contentType;
    if (tags !== undefined && tags !== null) found.tags = tags;
    found.updated = nowInSeconds();
    const { value: _hidden, ...shown } = secretBundle(vault, vault.secrets.get(name).name, found);
    response.json(shown);
  });

  router.delete('/secrets/:name', (request, response) => {
    const { name } = request.params;
    const vault = entitled(response, SECRET_RIGHTS.delete, name);
    refuseManaged(vault, name);
    const secret = vault.secrets.delete(name, vault.properties.softDeleteRetentionInDays);
    response.json(deletedItem(vault, secret));
  });

  router.get('/deletedsecrets', (_request, response) => {
    const vault = entitled(response, SECRET_RIGHTS.list);
    const value = vault.secrets.listDeleted().map((secret) => deletedItem(vault, secret));
    response.json({ value, nextLink: null });
  });

  router.get('/deletedsecrets/:name', (request, response) => {
    const vault = entitled(response, SECRET_RIGHTS.get, request.params.name);
    response.json(deletedItem(vault, vault.secrets.getDeleted(request.params.name)));
  });

  router.post('/deletedsecrets/:name/recover', (request, response) => {
    const vault = entitled(response, SECRET_RIGHTS.recover, request.params.name);
    response.json(secretItem(vault, vault.secrets.recover(request.params.name)));
  });

  router.delete('/deletedsecrets/:name', (request, response) => {
    const vault = entitled(response, SECRET_RIGHTS.purge, request.params.name);
    vault.secrets.getDeleted(request.params.name);
    refusePurge(vault);
    vault.secrets.purge(request.params.name);
    response.status(204).end();
  });

  return router;
}

/** @throws AzureError 403 when purge protection is on */
export function refusePurge(vault: Vault): void {
  if (vault.properties.enablePurgeProtection !== true) return;
  throw new AzureError(
    403,
    'Forbidden',
    `Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: ${vault.name};location=${vault.location}`,
  );
}

/** The id of a secret, or of one version of it. */
export function secretId(vault: Vault, name: string, version?: string): string {
  const base = `https://${vaultHost(vault)}/secrets/${name}`;
  return version === undefined ? base : `${base}/${version}`;
}

function refuseManaged(vault: Vault, name: string): void {
  if (vault.secrets.find(name)?.versions.at(-1)?.managed !== true) return;
  throw new AzureError(
    403,
    'Forbidden',
    `The secret ${name} belongs to the certificate of the same name. Change the certificate instead.`,
    { innerCode: 'SandboxSecretIsManaged' },
  );
}

/** A SecretBundle. */
function secretBundle(vault: Vault, name: string, version: SecretVersion): JsonObject {
  return { value: version.value, ...versionItem(vault, name, version), ...certificateKey(vault, name, version) };
}

function versionItem(vault: Vault, name: string, version: SecretVersion): JsonObject {
  return { ...itemOf(vault, version), id: secretId(vault, name, version.version) };
}

/** A SecretItem of `GET /secrets`: the id has no version, the attributes are those of the latest. */
function secretItem(vault: Vault, { name, versions }: NamedObject<SecretVersion>): JsonObject {
  const latest = versions.at(-1);
  return { ...(latest === undefined ? {} : itemOf(vault, latest)), id: secretId(vault, name) };
}

function deletedItem(vault: Vault, secret: NamedObject<SecretVersion>): JsonObject {
  return {
    recoveryId: `https://${vaultHost(vault)}/deletedsecrets/${secret.name}`,
    ...secret.deleted,
    ...secretItem(vault, secret),
  };
}

function itemOf(vault: Vault, version: SecretVersion): JsonObject {
  return {
    ...(version.contentType === undefined ? {} : { contentType: version.contentType }),
    attributes: { ...datesOf(version), ...recoveryOf(vault) },
    tags: version.tags,
    ...(version.managed === true ? { managed: true } : {}),
  };
}

/** `kid` tells clients that the secret is a certificate's. */
function certificateKey(vault: Vault, name: string, version: SecretVersion): JsonObject {
  return version.managed === true ? { kid: `https://${vaultHost(vault)}/keys/${name}/${version.version}` } : {};
}
