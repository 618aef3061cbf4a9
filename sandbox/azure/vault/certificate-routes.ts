/**
 * The HTTP face of every vault's certificates.
 *
 * Needs: a way to the vault of a request whose caller holds a right.
 * Does: create (pending until it is signed), import of PEM, get, list, versions, policy, update, delete, recover, purge.
 * Never does: issuers, contacts, renewal. A certificate that is created again gets another version.
 */
import { createHash, randomUUID } from 'node:crypto';
import { Router } from 'express';
import { z } from 'zod';
import { messageOf } from '../../message-of';
import { AzureError, badRequest } from '../errors';
import { objectAt, type JsonObject } from '../json';
import { attributesSchema, datesOf, recoveryOf, tagsSchema } from './attributes';
import type { CertificateVersion, PendingCertificate } from './certificate-book';
import { beginCertificate, checkPolicy, PEM_TYPE, policySchema, readPemCertificate } from './certificate-maker';
import {
  addCertificate,
  deleteCertificate,
  recoverCertificate,
  refuseTakenName,
  updateCertificate,
} from './certificates';
import { requireObjectName, type NamedObject } from './named-objects';
import { parseBody } from './parse-body';
import { CERTIFICATE_RIGHTS } from './permissions';
import { vaultHost, type Vault } from './registry';
import { refusePurge, secretId, type Entitled } from './secret-routes';

const createSchema = z.looseObject({
  policy: policySchema.optional(),
  attributes: attributesSchema.nullish(),
  tags: tagsSchema.nullish(),
});
const importSchema = createSchema.extend({ value: z.string().min(1) });
type Sent = Pick<z.infer<typeof createSchema>, 'attributes' | 'tags'>;

/** The routes below `/certificates` and `/deletedcertificates`. */
export function certificateRoutes(entitled: Entitled): Router {
  const router = Router();

  router.get('/certificates', (_request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.list);
    response.json({ value: vault.certificates.list().map((one) => certificateItem(vault, one)), nextLink: null });
  });

  router.post('/certificates/:name/create', async (request, response) => {
    const { name } = request.params;
    const vault = entitled(response, CERTIFICATE_RIGHTS.create, name);
    requireObjectName(name, 'certificate');
    const body = parseBody(createSchema, request.body);
    // Without a policy, the next version is made as the last one.
    const policy = body.policy ?? parseBody(policySchema, vault.certificates.policies.get(name.toLowerCase()));
    checkPolicy(policy);
    refuseTakenName(vault, name);
    const { csr, finish } = await beginCertificate(policy);
    const pending: PendingCertificate = { csr, requestId: randomUUID().replaceAll('-', ''), status: 'inProgress' };
    vault.certificates.pending.set(name.toLowerCase(), pending);
    vault.certificates.policies.set(name.toLowerCase(), policy);
    void finish()
      .then((made) => {
        addCertificate(vault, name, made, requestOf(body));
        pending.status = 'completed';
      })
      .catch((error: unknown) => Object.assign(pending, { status: 'failed', error: messageOf(error) }));
    response.status(202).json(pendingBody(vault, name, pending));
  });

  router.post('/certificates/:name/import', (request, response) => {
    const { name } = request.params;
    const vault = entitled(response, CERTIFICATE_RIGHTS.import, name);
    requireObjectName(name, 'certificate');
    const body = parseBody(importSchema, request.body);
    if (!body.value.includes('-----BEGIN ')) {
      throw badRequest('The sandbox imports PEM only, not PFX.', 'SandboxContentTypeNotSupported');
    }
    const policy = { ...(body.policy ?? policySchema.parse({})), secret_props: { contentType: PEM_TYPE } };
    refuseTakenName(vault, name);
    vault.certificates.policies.set(name.toLowerCase(), { ...policy, issuer: { name: 'Unknown' } });
    const version = addCertificate(vault, name, readPemCertificate(body.value, policy), requestOf(body));
    response.json(certificateBundle(vault, name, version));
  });

  router.get('/certificates/:name/pending', (request, response) => {
    const { name } = request.params;
    const vault = entitled(response, CERTIFICATE_RIGHTS.get, name);
    const pending = vault.certificates.pending.get(name.toLowerCase());
    if (pending === undefined) {
      throw new AzureError(404, 'PendingCertificateNotFound', `Pending certificate not found: ${name}`);
    }
    response.json(pendingBody(vault, name, pending));
  });

  router.get('/certificates/:name/policy', (request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.get, request.params.name);
    response.json(policyBody(vault, vault.certificates.get(request.params.name).name));
  });

  router.get('/certificates/:name/versions', (request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.list, request.params.name);
    const { name, versions } = vault.certificates.get(request.params.name);
    const value = versions.map((version) => ({ ...itemOf(vault, version), id: idOf(vault, name, version.version) }));
    response.json({ value, nextLink: null });
  });

  router.get('/certificates/:name{/:version}', (request, response) => {
    const { name, version } = request.params;
    const vault = entitled(response, CERTIFICATE_RIGHTS.get, name);
    const found = vault.certificates.getVersion(name, version);
    response.json(certificateBundle(vault, vault.certificates.get(name).name, found));
  });

  router.patch('/certificates/:name{/:version}', (request, response) => {
    const { name, version } = request.params;
    const vault = entitled(response, CERTIFICATE_RIGHTS.update, name);
    const found = vault.certificates.getVersion(name, version);
    updateCertificate(vault, name, found, requestOf(parseBody(createSchema, request.body)));
    response.json(certificateBundle(vault, vault.certificates.get(name).name, found));
  });

  router.delete('/certificates/:name', (request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.delete, request.params.name);
    response.json(deletedItem(vault, deleteCertificate(vault, request.params.name)));
  });

  router.get('/deletedcertificates', (_request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.list);
    response.json({ value: vault.certificates.listDeleted().map((one) => deletedItem(vault, one)), nextLink: null });
  });

  router.get('/deletedcertificates/:name', (request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.get, request.params.name);
    response.json(deletedItem(vault, vault.certificates.getDeleted(request.params.name)));
  });

  router.post('/deletedcertificates/:name/recover', (request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.recover, request.params.name);
    response.json(certificateItem(vault, recoverCertificate(vault, request.params.name)));
  });

  router.delete('/deletedcertificates/:name', (request, response) => {
    const vault = entitled(response, CERTIFICATE_RIGHTS.purge, request.params.name);
    vault.certificates.getDeleted(request.params.name);
    refusePurge(vault);
    vault.certificates.purge(request.params.name);
    response.status(204).end();
  });

  return router;
}

function requestOf({ attributes, tags }: Sent): { readonly enabled?: boolean; readonly tags?: Record<string, string> } {
  return { enabled: attributes?.enabled, tags: tags ?? undefined };
}

function idOf(vault: Vault, name: string, version?: string): string {
  const base = `https://${vaultHost(vault)}/certificates/${name}`;
  return version === undefined ? base : `${base}/${version}`;
}

/** A CertificateOperation. */
function pendingBody(vault: Vault, name: string, { csr, requestId, status, error }: PendingCertificate): JsonObject {
  return {
    id: `${idOf(vault, name)}/pending`,
    issuer: { name: 'Self' },
    csr,
    cancellation_requested: false,
    status,
    request_id: requestId,
    ...(status === 'completed' ? { target: idOf(vault, name) } : {}),
    ...(status === 'inProgress'
      ? {
          status_details:
            'Pending certificate created. Certificate request is in progress. This may take some time based on the issuer provider. Please check again later.',
        }
      : {}),
    ...(error === undefined ? {} : { error: { code: 'SandboxCertificateNotMade', message: error } }),
  };
}

/** A CertificateBundle. */
function certificateBundle(vault: Vault, name: string, version: CertificateVersion): JsonObject {
  const [leaf = Buffer.alloc(0)] = version.made.chain;
  return {
    ...itemOf(vault, version),
    id: idOf(vault, name, version.version),
    kid: `https://${vaultHost(vault)}/keys/${name}/${version.version}`,
    sid: secretId(vault, name, version.version),
    cer: leaf.toString('base64'),
    policy: policyBody(vault, name),
    pending: { id: `${idOf(vault, name)}/pending` },
  };
}

function policyBody(vault: Vault, name: string): JsonObject {
  const policy = vault.certificates.policies.get(name.toLowerCase()) ?? {};
  return {
    ...policy,
    id: `${idOf(vault, name)}/policy`,
    attributes: { enabled: true, ...objectAt(policy, 'attributes') },
  };
}

function certificateItem(vault: Vault, { name, versions }: NamedObject<CertificateVersion>): JsonObject {
  const latest = versions.at(-1);
  return { ...(latest === undefined ? {} : itemOf(vault, latest)), id: idOf(vault, name) };
}

function deletedItem(vault: Vault, certificate: NamedObject<CertificateVersion>): JsonObject {
  return {
    recoveryId: `https://${vaultHost(vault)}/deletedcertificates/${certificate.name}`,
    ...certificate.deleted,
    ...certificateItem(vault, certificate),
  };
}

function itemOf(vault: Vault, version: CertificateVersion): JsonObject {
  const [leaf = Buffer.alloc(0)] = version.made.chain;
  return {
    x5t: createHash('sha1').update(leaf).digest('base64url'),
    attributes: { ...datesOf(version), ...recoveryOf(vault) },
    tags: version.tags,
  };
}
