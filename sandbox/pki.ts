/**
 * The sandbox's private certificate authorities and token-signing keys.
 *
 * Needs: WebCrypto of Node.
 * Does: makes self-signed authorities and issues server and client certificates from it (ECDSA P-256).
 * Never does: read or write files.
 */
import 'reflect-metadata'; // Before @peculiar/x509: its tsyringe looks for the Reflect metadata API when it is loaded.
import { generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type Extension,
  type JsonGeneralName,
} from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_IN_MS = 3_600_000;
/** Clocks of containers and laptops differ a little: a certificate is valid from an hour ago. */
const BACKDATE_IN_MS = HOUR_IN_MS;
const VALIDITY_IN_MS = 365 * 24 * HOUR_IN_MS;

/** What a certificate is for. */
export interface IssueOptions {
  readonly commonName: string;
  /** Kubernetes reads these as groups: `system:masters`. */
  readonly organizations?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
  /** Sets the extended key usage: serverAuth or clientAuth. */
  readonly usage: 'server' | 'client';
}

/** A certificate and its private key, both PEM; the key is PKCS#8. */
export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** A certificate authority. */
export interface Authority {
  /** The self-signed certificate: what clients are told to trust. */
  readonly certPem: string;
  /** Issues a certificate that is valid from an hour ago for a year. */
  issue(options: IssueOptions): Promise<IssuedCertificate>;
}

/** Makes a new authority whose key never leaves memory; two authorities never trust each other. */
export async function createAuthority(commonName: string): Promise<Authority> {
  return openAuthority(await createAuthorityPair(commonName));
}

/** Makes the self-signed certificate and the private key of an authority, for keeping it across processes. */
export async function createAuthorityPair(commonName: string): Promise<IssuedCertificate> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      ...validity(),
      serialNumber: serialNumber(),
      name: [{ CN: [commonName] }],
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return pairOf(certificate, keys.privateKey);
}

/**
 * The authority that a pair of `createAuthorityPair` stands for.
 * @throws Error when either PEM text cannot be read.
 */
export async function openAuthority(pair: IssuedCertificate): Promise<Authority> {
  const authority = new X509Certificate(pair.certPem);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    PemConverter.decodeFirst(pair.keyPem),
    ALGORITHM,
    false,
    ['sign'],
  );

  return {
    certPem: pair.certPem,
    async issue(options) {
      const leaf = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
      const certificate = await X509CertificateGenerator.create(
        {
          ...validity(),
          serialNumber: serialNumber(),
          subject: distinguishedName(options),
          issuer: authority.subjectName.toJSON(),
          signingAlgorithm: ALGORITHM,
          publicKey: leaf.publicKey,
          signingKey,
          extensions: [
            new BasicConstraintsExtension(false, undefined, true),
            new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
            new ExtendedKeyUsageExtension([
              options.usage === 'server' ? ExtendedKeyUsage.serverAuth : ExtendedKeyUsage.clientAuth,
            ]),
            await AuthorityKeyIdentifierExtension.create(authority.publicKey, false, webcrypto),
            ...alternativeNames(options),
          ],
        },
        webcrypto,
      );
      return pairOf(certificate, leaf.privateKey);
    },
  };
}

/** An RSA 2048 key pair for signing service-account tokens: PKCS#8 private, SPKI public, both PEM. */
export function createSigningKeyPair(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privatePem: privateKey, publicPem: publicKey };
}

async function pairOf(certificate: X509Certificate, key: webcrypto.CryptoKey): Promise<IssuedCertificate> {
  const keyDer = await webcrypto.subtle.exportKey('pkcs8', key);
  return { certPem: pemText(certificate.toString('pem')), keyPem: pemText(PemConverter.encode(keyDer, 'PRIVATE KEY')) };
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_IN_MS), notAfter: new Date(now + VALIDITY_IN_MS) };
}

/** Sixteen random bytes, positive and without a leading zero (DER allows neither). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function distinguishedName(options: IssueOptions): Record<string, string[]>[] {
  // One RDN per organization: Go, and so Kubernetes, reads each O as one group.
  const organizations = (options.organizations ?? []).map((organization) => ({ O: [organization] }));
  return [...organizations, { CN: [options.commonName] }];
}

function alternativeNames(options: IssueOptions): Extension[] {
  const names: JsonGeneralName[] = [
    ...(options.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(options.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ];
  return names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)];
}

/** PEM files end in a newline, or concatenating two of them breaks. */
function pemText(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}
