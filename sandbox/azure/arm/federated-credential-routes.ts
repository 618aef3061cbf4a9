/**
 * Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials.
 *
 * Needs: identities, the credentials in Entra, the fault `hold-federated-write`.
 * Does: PUT, GET, list, DELETE. A write takes a moment, and while it lasts another one for the same identity is refused with 409.
 * Never does: ask whether the issuer exists: Azure does not either.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Router } from 'express';
import { z } from 'zod';
import type { FederatedCredential, FederatedCredentials } from '../entra/federated-credentials';
import { AzureError, badRequest, resourceNotFound } from '../errors';
import type { Faults } from '../faults';
import { objectAt, type JsonObject } from '../json';
import type { Identities, UserAssignedIdentity } from './identities';
import type { ResourceGroups } from './resource-groups';

const IDENTITIES = 'Microsoft.ManagedIdentity/userAssignedIdentities';
const TYPE = `${IDENTITIES}/federatedIdentityCredentials`;
/** Microsoft Entra documents, "Important considerations and restrictions for federated identity credentials". */
const LIMIT = 20;
const WRITE_TAKES_MS = 50;

const propertiesSchema = z.looseObject({
  issuer: z.string().min(1).max(600),
  subject: z.string().min(1).max(600),
  audiences: z.array(z.string().min(1).max(600)).length(1),
});

/** What the routes need. */
export interface FederationSources {
  readonly identities: Identities;
  readonly federations: FederatedCredentials;
  readonly groups: ResourceGroups;
  readonly faults: Faults;
}

/** Routes below an identity. */
export function federatedCredentialsRouter({ identities, federations, groups, faults }: FederationSources): Router {
  const router = Router();
  const list = `/subscriptions/:subscription/resourceGroups/:group/providers/${IDENTITIES}/:identity/federatedIdentityCredentials`;
  /** ARM ids of identities whose credentials are being written. */
  const writing = new Set<string>();

  router.put(`${list}/:name`, async (request, response) => {
    const identity = required(request.params);
    const { objectId } = identity.principal;
    const wanted = credentialOf(request.params.name, request.body);
    const created = await exclusively(identity, async () => {
      const before = federations.find(objectId, wanted.name);
      checkUnique(federations.of(objectId), wanted);
      if (before === undefined && federations.of(objectId).length >= LIMIT) throw tooMany();
      federations.put(objectId, { ...wanted, name: before?.name ?? wanted.name });
      return before === undefined;
    });
    response.status(created ? 201 : 200).json(bodyOf(identity, wanted));
  });

  router.get(`${list}/:name`, (request, response) => {
    const { group, name } = request.params;
    const identity = required(request.params);
    const credential = federations.find(identity.principal.objectId, name);
    if (credential === undefined) throw resourceNotFound(TYPE, `${identity.name}/${name}`, group);
    response.json(bodyOf(identity, credential));
  });

  router.get(list, (request, response) => {
    const identity = required(request.params);
    const found = federations.of(identity.principal.objectId);
    response.json({ value: found.map((credential) => bodyOf(identity, credential)) });
  });

  router.delete(`${list}/:name`, async (request, response) => {
    const identity = required(request.params);
    const { objectId } = identity.principal;
    const known = federations.find(objectId, request.params.name) !== undefined;
    if (known) {
      await exclusively(identity, async () => federations.remove(objectId, request.params.name));
    }
    response.status(known ? 200 : 204).end();
  });

  /** @throws AzureError 409 while another write for the identity is under way */
  async function exclusively<T>({ id }: UserAssignedIdentity, write: () => Promise<T>): Promise<T> {
    const key = id.toLowerCase();
    if (writing.has(key)) {
      // As in hashicorp/terraform-provider-azurerm#19968 and kubernetes-sigs/cluster-api-provider-azure#5397.
      throw new AzureError(
        409,
        'ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity',
        `Too many Federated Identity Credentials are written concurrently for the managed identity '${key}'. Concurrent Federated Identity Credentials writes under the same managed identity are not supported.`,
      );
    }
    writing.add(key);
    try {
      await sleep(WRITE_TAKES_MS);
      await faults.whileOn('hold-federated-write', id);
      return await write();
    } finally {
      writing.delete(key);
    }
  }

  function required(params: Record<'group' | 'identity', string>): UserAssignedIdentity {
    const { group, identity: name } = params;
    const identity = identities.find(`${groups.idOf(group)}/providers/${IDENTITIES}/${name}`);
    if (identity === undefined) throw resourceNotFound(IDENTITIES, name, group);
    return identity;
  }

  return router;
}

/** @throws AzureError 400 */
function credentialOf(name: string, body: unknown): FederatedCredential {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_-]{2,119}$/.test(name)) {
    throw badRequest(
      `The federated identity credential name '${name}' is not valid: 3 to 120 letters, digits, hyphens and underscores, with a letter or digit first.`,
      'SandboxFederatedCredentialNameNotValid',
    );
  }
  const parsed = propertiesSchema.safeParse(objectAt(body, 'properties'));
  if (!parsed.success) {
    // As in zioproto/istio-aks-example#6.
    throw badRequest(
      "The request format was unexpected. Federated Identity Credential must specify 'issuer', 'subject' and 'audience'.",
    );
  }
  const { issuer, subject, audiences } = parsed.data;
  if (!URL.canParse(issuer) || !issuer.startsWith('https://')) {
    throw badRequest(`The issuer '${issuer}' is not an https URL.`, 'SandboxFederatedCredentialIssuerNotValid');
  }
  return { name, issuer, subject, audiences };
}

/** @throws AzureError 400 when another credential of the identity has this issuer and subject (Azure/bicep-types-az#2029) */
function checkUnique(all: readonly FederatedCredential[], { name, issuer, subject }: FederatedCredential): void {
  const other = all.find(
    (one) => one.name.toLowerCase() !== name.toLowerCase() && one.issuer === issuer && one.subject === subject,
  );
  if (other === undefined) return;
  throw badRequest('Issuer and subject combination already exists for this Managed Identity.');
}

function tooMany(): AzureError {
  return badRequest(
    `A managed identity takes ${LIMIT} federated identity credentials at most.`,
    'SandboxTooManyFederatedCredentials',
  );
}

function bodyOf({ id }: UserAssignedIdentity, { name, issuer, subject, audiences }: FederatedCredential): JsonObject {
  return {
    id: `${id.replace('/resourceGroups/', '/resourcegroups/')}/federatedIdentityCredentials/${name}`,
    name,
    type: TYPE,
    properties: { issuer, subject, audiences },
  };
}
