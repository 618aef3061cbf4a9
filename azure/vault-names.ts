/** Names of vaults, which are unique in a cloud: whether any vault has one, of whatever customer, live or deleted. Reads only. */
import { z } from 'zod';
import type { ArmClient } from './arm';
import type { CallOptions } from './call-options';
import { isNotForUs } from './errors';

const API_VERSION = '2024-11-01';

const Availability = z.object({ nameAvailable: z.boolean(), message: z.string().nullish() });

/** Whether a vault has a name; `unknown`: Keyturn may not ask. */
export type NameOfVault =
  { readonly state: 'free' | 'unknown' } | { readonly state: 'taken'; readonly message: string | undefined };

/**
 * Asks ARM, which answers whatever the network of the vault. Needs Microsoft.KeyVault/checkNameAvailability/read, which Reader has.
 * @throws ArmError, TokenError
 */
export async function nameOfVault(
  arm: ArmClient,
  { subscriptionId, name }: { readonly subscriptionId: string; readonly name: string },
  { abortSignal }: CallOptions = {},
): Promise<NameOfVault> {
  try {
    const { body } = await arm.request({
      method: 'POST',
      url: `/subscriptions/${subscriptionId}/providers/Microsoft.KeyVault/checkNameAvailability?api-version=${API_VERSION}`,
      body: { name, type: 'Microsoft.KeyVault/vaults' },
      abortSignal,
    });
    const { nameAvailable, message } = Availability.parse(body);
    return nameAvailable ? { state: 'free' } : { state: 'taken', message: message ?? undefined };
  } catch (error) {
    if (!isNotForUs(error)) throw error;
    return { state: 'unknown' };
  }
}
