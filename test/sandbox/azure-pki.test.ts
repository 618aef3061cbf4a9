import { beforeAll, describe, expect, it } from '@jest/globals';
import { createPrivateKey, createPublicKey, sign, verify, X509Certificate } from 'node:crypto';
import {
  createAuthority,
  createAuthorityPair,
  createSigningKeyPair,
  openAuthority,
  type Authority,
} from '../../sandbox/pki';

describe('a private authority', () => {
  let authority: Authority;
  beforeAll(async () => {
    authority = await createAuthority('Test CA');
  });

  it('is a certificate authority by its own certificate', () => {
    const certificate = new X509Certificate(authority.certPem);
    expect(certificate.ca).toBe(true);
    expect(certificate.subject).toBe('CN=Test CA');
    expect(certificate.verify(certificate.publicKey)).toBe(true);
  });

  it('issues server certificates for names and addresses, with the key that belongs to them', async () => {
    const { certPem, keyPem } = await authority.issue({
      commonName: 'api',
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      usage: 'server',
    });
    const certificate = new X509Certificate(certPem);
    expect(certificate.checkIssued(new X509Certificate(authority.certPem))).toBe(true);
    expect(certificate.verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
    expect(certificate.checkPrivateKey(createPrivateKey(keyPem))).toBe(true);
    expect(certificate.checkHost('localhost')).toBe('localhost');
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('puts each organization of a client into the subject, where Kubernetes reads groups', async () => {
    const { certPem } = await authority.issue({
      commonName: 'admin',
      organizations: ['system:masters', 'people'],
      usage: 'client',
    });
    const certificate = new X509Certificate(certPem);
    expect(certificate.subject).toBe('O=system:masters\nO=people\nCN=admin');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
  });

  it('is not trusted by what another authority issued, even under the same name', async () => {
    const stranger = await createAuthority('Test CA');
    const { certPem } = await stranger.issue({ commonName: 'api', usage: 'server' });
    expect(new X509Certificate(certPem).verify(new X509Certificate(authority.certPem).publicKey)).toBe(false);
  });

  it('is the same authority after its pair was kept and opened again', async () => {
    const pair = await createAuthorityPair('Kept CA');
    const [first, second] = [await openAuthority(pair), await openAuthority(pair)];
    expect(second.certPem).toBe(first.certPem);
    const { certPem } = await second.issue({ commonName: 'api', usage: 'server' });
    expect(new X509Certificate(certPem).verify(new X509Certificate(first.certPem).publicKey)).toBe(true);
  });

  it('makes signing keys for tokens that fit together', () => {
    const { privatePem, publicPem } = createSigningKeyPair();
    const text = Buffer.from('token');
    const signature = sign('sha256', text, createPrivateKey(privatePem));
    expect(verify('sha256', text, createPublicKey(publicPem), signature)).toBe(true);
  });
});
