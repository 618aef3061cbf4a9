/**
 * Key Vault's challenge authentication (facts 3.2, 3.3).
 *
 * Needs: the token service.
 * Does: answers a request without a token with the 401 that tells the SDK which tenant and audience to ask, whatever
 *       else may be wrong with the request; makes a caller from a valid token.
 * Never does: decide permissions, or where a request comes from.
 */
import type { Request } from 'express';
import type { AzureCloud } from '../clouds';
import { TokenRejected, type TokenService } from '../entra/tokens';
import { AzureError } from '../errors';
import type { VaultCaller } from './access';

/** @throws AzureError 401 with the challenge, when there is no bearer token for this cloud's vaults. */
export async function authenticateVaultCaller(
  request: Request,
  cloud: AzureCloud,
  tokens: TokenService,
  tenantId: string,
): Promise<Omit<VaultCaller, 'origin'>> {
  const challenge = `Bearer authorization="https://${cloud.loginHost}/${tenantId}", resource="${cloud.vaultAudience}"`;
  const refuse = (message: string): AzureError =>
    new AzureError(401, 'Unauthorized', message, { headers: { 'WWW-Authenticate': challenge } });

  const token = /^(?:bearer|pop) (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) throw refuse('AKV10000: Request is missing a Bearer or PoP token.');
  try {
    const { principal, issuer } = await tokens.verifyAppToken(token, [cloud.vaultAudience]);
    return { principal, issuer };
  } catch (error) {
    if (!(error instanceof TokenRejected)) throw error;
    if (error.reason === 'audience') {
      throw refuse(`AKV10022: Invalid audience. Expected ${cloud.vaultAudience}, found: ${error.message}.`);
    }
    throw refuse(`The sandbox's Key Vault does not accept the token: ${error.reason} (${error.message}).`);
  }
}

/** The tunnel's peer is the proxy's own socket: every client of the sandbox is on this machine. */
export function clientAddress(request: Request): string {
  return request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '127.0.0.1';
}
