/**
 * What driver and provider say of a mount that failed, cut to what may be kept: their own words, object names, codes.
 *
 * The message of an event carries whole answers of Entra ID and the vault. Those answers quote identities, addresses and whatever the
 * service adds, so Keyturn keeps their status and codes only. Pure.
 */
import type { Cloud } from '../../domain/clouds';
import { privateZone } from '../../domain/csi/line-of-sight';

const MOST_CHARACTERS = 700;
/** azcore's lines around an answer, or the beginning of a body in JSON. */
const ANSWER = /\s*(?:-{20,}|\{)/;
/** Go's decoder of hexadecimal text quotes a character of the secret, and that of base64 tells where the first wrong one is. */
const QUOTED = /invalid byte: U\+[0-9A-F]{4,6}(?: '[^\n]*?')?|at input byte \d+/g;

/** One line. @param message of an event `FailedMount` */
export function mountWords(message: string): string {
  const cut = ANSWER.exec(message)?.index ?? message.length;
  const own = message.slice(0, cut).replaceAll(QUOTED, '…').replaceAll(/\s+/g, ' ').trim();
  const answer = message.slice(cut);
  const status = /RESPONSE (\d{3})\b/.exec(answer)?.[1];
  const codes = [
    ...matches(answer, /"code":\s*"(\w{1,60})"/g),
    ...matches(answer, /"error":\s*"(\w{1,60})"/g),
    ...matches(message, /\b(AADSTS\d{4,9})\b/g),
  ];
  const known = [...(status === undefined ? [] : [`HTTP ${status}`]), ...new Set(codes)];
  const shown = own.length > MOST_CHARACTERS ? `${own.slice(0, MOST_CHARACTERS)}…` : own;
  return known.length === 0 ? shown : `${shown} (${known.join(', ')})`;
}

/** Source: Key Vault documents, "Network security for Azure Key Vault". */
const LATE = 'A change of the network rules of a vault takes up to 15 minutes to work.';

/** Where a mount reads from. */
export interface VaultHost {
  /** `kv1.vault.azure.net` */
  readonly host: string;
  /** The private DNS zone that leads the name to a private endpoint. */
  readonly zone: string;
}

/** Where the vault of a cloud answers. */
export function vaultHostIn({ name, vaultSuffix }: Cloud, vaultName: string): VaultHost {
  return { host: `${vaultName.toLowerCase()}.${vaultSuffix}`, zone: privateZone(name) };
}

/**
 * What the network has to do with a failure: one or two sentences with a space before them, or nothing.
 * @param words what `mountWords` made of it, or a word of the pod's report
 */
export function networkCause(words: string, { host, zone }: VaultHost): string {
  if (/\bForbiddenByConnection\b/.test(words)) {
    return ` The cause is the network: the public address of the vault is closed, and the request did not come by an approved private endpoint. Either no such endpoint is in the network of the nodes or in one that is peered with it; or ${host} leads to the public address there: link the private DNS zone ${zone}, with the record of the endpoint, to that network. ${LATE}`;
  }
  if (/\bForbiddenByFirewall\b/.test(words)) {
    return ` The cause is the network: the firewall of the vault does not name where the request came from. Name the subnet of the nodes, which needs the service endpoint Microsoft.KeyVault, or the address by which they leave their network (az keyvault network-rule add); or give them a private endpoint. ${LATE}`;
  }
  if (words.includes('dial tcp') && words.includes(host)) {
    return ` The cause is the network: ${/no such host/.test(words) ? `the nodes find no address for ${host}. Either the vault was deleted, or their DNS does not know it: the private DNS zone ${zone} needs the record of the private endpoint, and a link to their network` : `what the nodes take for ${host} does not answer. Look at the private endpoint, and at the rules (NSG, firewall) between it and the nodes`}.`;
  }
  return '';
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, word = '']) => word);
}
