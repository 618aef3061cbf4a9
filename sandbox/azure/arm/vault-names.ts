/**
 * Microsoft.KeyVault/checkNameAvailability: whether a vault's name is free in the cloud.
 *
 * Needs: the vaults.
 * Does: says who has a name, live or deleted, in whatever subscription.
 */
import { Router } from 'express';
import { z } from 'zod';
import { hostRole } from '../clouds';
import { badRequest } from '../errors';
import { describeIssues } from '../json';
import type { VaultRegistry } from '../vault/registry';

const bodySchema = z.object({ name: z.string(), type: z.literal('Microsoft.KeyVault/vaults') });

/** The one route. */
export function vaultNamesRouter(registry: VaultRegistry): Router {
  const router = Router();
  router.post(
    '/subscriptions/:subscription/providers/Microsoft.KeyVault/checkNameAvailability',
    (request, response) => {
      const cloud = hostRole(request.hostname)?.cloud;
      const parsed = bodySchema.safeParse(request.body);
      if (!parsed.success || cloud === undefined) {
        throw badRequest(parsed.success ? 'Not a host of ARM.' : describeIssues(parsed.error), 'InvalidRequestContent');
      }
      const { name } = parsed.data;
      if (registry.findByName(name, cloud) === undefined) {
        response.json({ nameAvailable: true });
        return;
      }
      response.json({
        nameAvailable: false,
        reason: 'AlreadyExists',
        message: `The vault name '${name}' is already in use. Vault names are globally unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state.`,
      });
    },
  );
  return router;
}
