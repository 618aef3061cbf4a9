/**
 * Makes self-signed certificates by a policy, and reads those that are imported.
 *
 * Needs: RSA, X.509, PKCS #12.
 * Does: key, request and certificate; the text that the secret of the certificate has, as PEM or PFX.
 * Never does: sign for others. The only issuer is `Self`.
 */
import 'reflect-metadata'; // Before @peculiar/x509: its tsyringe looks for the Reflect metadata API when it is loaded.
import {
  createPrivateKey,
  createPublicKey,
  randomBytes,
  webcrypto,
  X509Certificate as NodeCertificate,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { z } from 'zod';
import { writePfx } from '../../pfx';
import { badRequest } from '../errors';
import { generateRsaKey, type RsaKey } from './rsa';

/** The content types of a certificate's secret. */
export const PEM_TYPE = 'application/x-pem-file';
export const PFX_TYPE = 'application/x-pkcs12';

const ALGORITHM = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;

/** A certificate policy as far as it decides how a certificate is made; the rest stays as it was sent. */
export const policySchema = z.looseObject({
  key_props: z
    .looseObject({
      exportable: z.boolean().default(true),
      kty: z.string().default('RSA'),
      key_size: z.int().default(2048),
      reuse_key: z.boolean().default(false),
    })
    .prefault({}),
  secret_props: z.looseObject({ contentType: z.string().default(PFX_TYPE) }).prefault({}),
  x509_props: z
    .looseObject({
      subject: z.string().default(''),
      sans: z.looseObject({ dns_names: z.array(z.string()).nullish() }).nullish(),
      ekus: z.array(z.string()).default(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']),
      validity_months: z.int().default(12),
    })
    .prefault({}),
  issuer: z.looseObject({ name: z.string().default('Self') }).prefault({}),
});
/** A certificate policy. */
export type CertificatePolicy = z.infer<typeof policySchema>;

/** A certificate with its key. */
export interface MadeCertificate {
  readonly rsa: RsaKey;
  readonly sizeInBits: number;
  /** Leaf first. */
  readonly chain: readonly Buffer[];
  readonly contentType: string;
  /** What the secret of the certificate says. */
  readonly secret: string;
  readonly exportable: boolean;
  /** Seconds since 1970. */
  readonly nbf: number;
  readonly exp: number;
}

/** A creation that has its key and its request, and not yet its certificate. */
export interface Creation {
  /** Base64 of the certificate request. */
  readonly csr: string;
  readonly finish: () => Promise<MadeCertificate>;
}

/** @throws AzureError 400 when the sandbox cannot make a certificate by this policy */
export function checkPolicy({ issuer, key_props, secret_props, x509_props }: CertificatePolicy): void {
  if (issuer.name !== 'Self') {
    throw badRequest(`The sandbox signs by the issuer Self only, not by ${issuer.name}.`, 'SandboxIssuerNotSupported');
  }
  if (key_props.kty !== 'RSA' || ![2048, 3072, 4096].includes(key_props.key_size)) {
    throw badRequest(
      `The sandbox makes certificates with RSA keys of 2048, 3072 and 4096 bits, not ${key_props.kty} ${key_props.key_size}.`,
      'SandboxKeyTypeNotSupported',
    );
  }
  if (![PEM_TYPE, PFX_TYPE].includes(secret_props.contentType)) {
    throw badRequest(`Content type ${secret_props.contentType} is not supported.`, 'BadParameter');
  }
  if (x509_props.subject === '') throw badRequest('Property policy.x509_props.subject is required.', 'BadParameter');
}

/** Makes key and request. */
export async function beginCertificate(policy: CertificatePolicy): Promise<Creation> {
  const { key_props, x509_props } = policy;
  const rsa = await generateRsaKey(key_props.key_size);
  const keys = await webKeysOf(rsa);
  const names = (x509_props.sans?.dns_names ?? []).map((value) => ({ type: 'dns' as const, value }));
  const alternative = names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)];
  const request = await Pkcs10CertificateRequestGenerator.create(
    { name: x509_props.subject, keys, signingAlgorithm: ALGORITHM, extensions: alternative },
    webcrypto,
  );
  return {
    csr: Buffer.from(request.rawData).toString('base64'),
    async finish() {
      const notBefore = new Date(Date.now() - 600_000);
      const notAfter = new Date(notBefore);
      notAfter.setMonth(notAfter.getMonth() + x509_props.validity_months);
      const serial = randomBytes(16);
      serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
      const certificate = await X509CertificateGenerator.createSelfSigned(
        {
          serialNumber: serial.toString('hex'),
          name: x509_props.subject,
          notBefore,
          notAfter,
          keys,
          signingAlgorithm: ALGORITHM,
          extensions: [
            new BasicConstraintsExtension(false),
            new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
            new ExtendedKeyUsageExtension(x509_props.ekus),
            ...alternative,
            await AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
            await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
          ],
        },
        webcrypto,
      );
      return made({ rsa, sizeInBits: key_props.key_size, chain: [Buffer.from(certificate.rawData)], policy });
    },
  };
}

/** Reads a PEM text with a private key and its chain, leaf first. @throws AzureError 400 when it is none */
export function readPemCertificate(text: string, policy: CertificatePolicy): MadeCertificate {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z ]+)-----[^-]+-----END \1-----/g)];
  const key = blocks.find(([, type]) => type?.endsWith('PRIVATE KEY'))?.[0];
  const chain = blocks.filter(([, type]) => type === 'CERTIFICATE').map(([block]) => new NodeCertificate(block).raw);
  if (key === undefined || chain.length === 0) {
    throw badRequest(
      'The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format.',
      'BadParameter',
    );
  }
  const privateKey = createPrivateKey(key);
  const sizeInBits = privateKey.asymmetricKeyDetails?.modulusLength;
  if (sizeInBits === undefined) {
    throw badRequest('The sandbox imports certificates with RSA keys only.', 'SandboxKeyTypeNotSupported');
  }
  return made({ rsa: { privateKey, publicKey: createPublicKey(privateKey) }, sizeInBits, chain, policy });
}

function made(parts: {
  readonly rsa: RsaKey;
  readonly sizeInBits: number;
  readonly chain: readonly Buffer[];
  readonly policy: CertificatePolicy;
}): MadeCertificate {
  const { rsa, chain, policy } = parts;
  const { contentType } = policy.secret_props;
  const [leaf] = chain.map((cert) => new NodeCertificate(cert));
  const { exportable } = policy.key_props;
  // A key that may not leave the vault is not in the secret either.
  const key = exportable ? rsa.privateKey.export({ format: 'der', type: 'pkcs8' }) : undefined;
  return {
    rsa,
    sizeInBits: parts.sizeInBits,
    chain,
    contentType,
    secret:
      contentType === PEM_TYPE || key === undefined ? pemOf(key, chain) : writePfx({ key, chain }).toString('base64'),
    exportable,
    nbf: secondsOf(leaf?.validFrom),
    exp: secondsOf(leaf?.validTo),
  };
}

function pemOf(key: Buffer | undefined, chain: readonly Buffer[]): string {
  const blocks = chain.map((cert) => pemBlock('CERTIFICATE', cert));
  return (key === undefined ? blocks : [pemBlock('PRIVATE KEY', key), ...blocks]).join('');
}

function pemBlock(type: string, content: Buffer): string {
  const lines = content.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${type}-----\n${lines.join('\n')}\n-----END ${type}-----\n`;
}

function secondsOf(time: string | undefined): number {
  return Math.floor(Date.parse(time ?? '') / 1000);
}

async function webKeysOf({ privateKey, publicKey }: RsaKey): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey('pkcs8', privateKey.export({ format: 'der', type: 'pkcs8' }), ALGORITHM, true, [
      'sign',
    ]),
    publicKey: await subtle.importKey('spki', publicKey.export({ format: 'der', type: 'spki' }), ALGORITHM, true, [
      'verify',
    ]),
  };
}
