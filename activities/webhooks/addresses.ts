/**
 * Which addresses a webhook may be sent to. A name that is allowed may still resolve to an address inside: the metadata service of
 * the cloud, this machine, the network that the worker is in.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { BlockList, isIP } from 'node:net';
import { OwnError } from '../../domain/own-error';

/** What may be reached beside public addresses. */
export interface AddressRules {
  /** Addresses of private networks (RFC 1918, fc00::/7, RFC 6598). */
  readonly privateAddresses: boolean;
  /** This machine. */
  readonly loopback: boolean;
}

const list = (...subnets: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[]): BlockList => {
  const blocked = new BlockList();
  for (const [net, prefix, family] of subnets) blocked.addSubnet(net, prefix, family);
  return blocked;
};
const LOOPBACK = list(['127.0.0.0', 8, 'ipv4'], ['::1', 128, 'ipv6']);
const PRIVATE = list(
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
);
/** Never: link-local (metadata services), Azure's own address of its platform, multicast, reserved, addresses that embed others. */
const NEVER = list(
  ['0.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['168.63.129.16', 32, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 128, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['2001::', 32, 'ipv6'],
);
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** Whether an address may be connected to. */
export function mayReach(address: string, { privateAddresses, loopback }: AddressRules): boolean {
  const plain = MAPPED.exec(address)?.[1] ?? address;
  const version = isIP(plain);
  if (version === 0) return false;
  // Any other way to write an IPv4 address in IPv6.
  if (version === 6 && /^::(?:ffff:)/i.test(plain)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  if (NEVER.check(plain, family)) return false;
  if (LOOPBACK.check(plain, family)) return loopback;
  return privateAddresses || !PRIVATE.check(plain, family);
}

/** An address that may not be reached. */
export class AddressRefused extends OwnError {
  constructor(host: string) {
    super(
      `${host} has an address that Keyturn does not send webhooks to. KEYTURN_WEBHOOK_PRIVATE_ADDRESSES=allow permits private networks.`,
    );
  }
}

/** A lookup for sockets: a name with one address that may not be reached is refused, since the next look could give that one. */
export function guardedLookup(rules: AddressRules) {
  return (
    host: string,
    options: LookupOptions,
    done: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
  ): void => {
    dnsLookup(host, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, []);
      if (!addresses.every(({ address }) => mayReach(address, rules))) return done(new AddressRefused(host), []);
      const [first] = addresses;
      if (options.all === true || first === undefined) return done(null, addresses);
      return done(null, first.address, first.family);
    });
  };
}
