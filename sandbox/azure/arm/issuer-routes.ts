/**
 * The OIDC issuers of clusters: `https://{location}.oic.prod-aks.azure.com/{tenant}/{id}/`.
 *
 * Needs: the managed clusters.
 * Does: publishes, to anybody, the discovery document and the keys of the cluster whose API servers issue tokens under that URL.
 * Never does: ask an API server. Azure keeps the documents apart from the cluster, which may be stopped.
 */
import { Router, type Request } from 'express';
import { hostRole } from '../clouds';
import { AzureError } from '../errors';
import type { Clusters } from './clusters';
import type { ManagedCluster } from './managed-cluster';

/** Routes of the issuers' hosts. */
export function issuersRouter(clusters: Clusters): Router {
  const router = Router();

  router.get('/:tenant/:id/.well-known/openid-configuration', (request, response) => {
    const { issuer = '' } = required(request);
    response.json({
      issuer,
      jwks_uri: `${issuer}openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    });
  });

  router.get('/:tenant/:id/openid/v1/jwks', async (request, response) => {
    response.json({ keys: await required(request).running?.tokenKeys() });
  });

  router.use((request) => {
    throw notFound(request);
  });

  function required(request: Request): ManagedCluster {
    const { tenant, id } = request.params;
    const cluster = clusters.findByIssuer(`https://${request.hostname.toLowerCase()}/${String(tenant)}/${String(id)}/`);
    if (cluster === undefined) throw notFound(request);
    return cluster;
  }

  return router;
}

function notFound({ hostname, path }: Request): AzureError {
  const host = hostRole(hostname)?.cloud.issuerSuffix ?? hostname;
  return new AzureError(
    404,
    'SandboxIssuerNotFound',
    `No cluster of the sandbox issues tokens at ${path} of *.${host}.`,
  );
}
