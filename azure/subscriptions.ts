/** The subscriptions that Keyturn's identity sees: those where it has any role, at whatever resource. */
import { z } from 'zod';
import type { ArmClient } from './arm';
import { allPages } from './arm-pages';
import type { CallOptions } from './call-options';

const API_VERSION = '2022-12-01';

const Subscription = z.looseObject({ subscriptionId: z.string(), tenantId: z.string().nullish() });
/** A subscription. */
export type Subscription = z.infer<typeof Subscription>;

/** All of them. @throws ArmError, TokenError */
export async function listSubscriptions(arm: ArmClient, { abortSignal }: CallOptions = {}): Promise<Subscription[]> {
  return await allPages(arm, `/subscriptions?api-version=${API_VERSION}`, Subscription, abortSignal);
}

/**
 * The subscriptions of the tenant of one of them, that one first: AKS takes no vault of another tenant. Just that one when the
 * identity does not see it.
 * @throws ArmError, TokenError
 */
export async function listSameTenant(
  arm: ArmClient,
  subscriptionId: string,
  options: CallOptions = {},
): Promise<string[]> {
  const isOwn = (one: { readonly subscriptionId: string }): boolean =>
    one.subscriptionId.toLowerCase() === subscriptionId.toLowerCase();
  const all = await listSubscriptions(arm, options);
  const tenant = all.find(isOwn)?.tenantId?.toLowerCase();
  const others = all.filter((one) => !isOwn(one) && tenant !== undefined && one.tenantId?.toLowerCase() === tenant);
  return [subscriptionId, ...others.map((one) => one.subscriptionId)];
}
