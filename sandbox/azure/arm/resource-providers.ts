/**
 * Which resource providers a subscription is registered for: all of them, until a client takes one back.
 *
 * Needs: nothing.
 * Does: shows, registers and unregisters, as `az provider` does.
 * Never does: check every request. Service Connector asks here, since people meet its refusal (Microsoft documents, "Use Service
 *       Connector in AKS", Conflict).
 */
import { Router } from 'express';
import { AzureError } from '../errors';
import type { JsonObject } from '../json';

/** What subscriptions are registered for. */
export class ResourceProviders {
  readonly #unregistered = new Set<string>();

  isRegistered(subscriptionId: string, namespace: string): boolean {
    return !this.#unregistered.has(keyOf(subscriptionId, namespace));
  }

  set(subscriptionId: string, namespace: string, registered: boolean): void {
    if (registered) this.#unregistered.delete(keyOf(subscriptionId, namespace));
    else this.#unregistered.add(keyOf(subscriptionId, namespace));
  }

  /** @throws AzureError 409 as ARM says it of any resource of the provider */
  require(subscriptionId: string, namespace: string): void {
    if (this.isRegistered(subscriptionId, namespace)) return;
    throw new AzureError(
      409,
      'MissingSubscriptionRegistration',
      `The subscription is not registered to use namespace '${namespace}'. See https://aka.ms/rps-not-found for how to register subscriptions.`,
    );
  }
}

/** GET, register and unregister. */
export function resourceProvidersRouter(providers: ResourceProviders): Router {
  const router = Router();
  const one = '/subscriptions/:subscription/providers/:namespace';

  router.get(one, (request, response) => {
    response.json(bodyOf(request.params));
  });

  router.post(`${one}/register`, (request, response) => {
    providers.set(request.params.subscription, request.params.namespace, true);
    response.json(bodyOf(request.params));
  });

  router.post(`${one}/unregister`, (request, response) => {
    providers.set(request.params.subscription, request.params.namespace, false);
    response.json(bodyOf(request.params));
  });

  function bodyOf({ subscription, namespace }: Record<'subscription' | 'namespace', string>): JsonObject {
    return {
      id: `/subscriptions/${subscription}/providers/${namespace}`,
      namespace,
      registrationPolicy: 'RegistrationRequired',
      registrationState: providers.isRegistered(subscription, namespace) ? 'Registered' : 'NotRegistered',
      resourceTypes: [],
    };
  }

  return router;
}

function keyOf(subscriptionId: string, namespace: string): string {
  return `${subscriptionId}/${namespace}`.toLowerCase();
}
