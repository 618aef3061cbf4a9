/**
 * Evidence that a key in a key vault signs: an EC key while the right to sign is missing at first, and an RSA key. The worker has the real
 * SDK and the sandbox's Key Vault; who checks has a PEM file and no network.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import type { OperationAnswer } from '../../cli/api-client';
import { verifyEvidence, type EvidenceVerdict } from '../../evidence/verify';
import { connectAzure, type AzureRequest } from '../../launch/azure-client';
import type { SandboxClusterFacts } from '../../launch/sandbox-cluster';
import { makeVault, setGrant } from '../../launch/sandbox-vault';
import type { Service } from '../../launch/service';
import { OF_API, publicKeyOf } from '../../trust/public-keys';
import { createStatementVerifier } from '../../trust/verify';
import { startDirectedService } from '../support/directed-service';
import { askForRotation, ended, makeCluster, people, startOwnService, testStack, until } from '../support/stack';

const VAULT = 'kv-evidence';
const Key = z.object({ key: z.looseObject({ kid: z.string() }) });

describe('evidence that a key in a key vault signs', () => {
  let azure: { readonly request: AzureRequest; close(): Promise<void> };
  let cluster: SandboxClusterFacts;
  let vaultUrl: string;
  beforeAll(async () => {
    azure = await connectAzure(testStack().sandbox);
    const vault = { facts: testStack().sandbox, name: VAULT, permissions: 'rbac' } as const;
    // Makes the resource group too.
    cluster = await makeCluster('evidence-key', { count: 20 });
    vaultUrl = await makeVault(azure.request, vault);
  });
  afterAll(() => azure.close());

  /** Lets Keyturn sign in the vault, or takes that. */
  const grant = (granted: boolean): Promise<void> => {
    const { sandbox } = testStack();
    const vault = { facts: sandbox, name: VAULT, permissions: 'rbac' } as const;
    return setGrant(azure.request, { ...vault, principalId: sandbox.clientObjectId, granted });
  };
  /** Makes a key, and the PEM file that an auditor gets. */
  async function makeKey(name: string, kind: object): Promise<{ kid: string; pem: string; pemFile: string }> {
    const { body } = await azure.request('POST', `${vaultUrl}/keys/${name}/create?api-version=2025-07-01`, kind);
    const { key } = Key.parse(body);
    const pem = createPublicKey({ key: key as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    const pemFile = path.join(testStack().directory, `${name}.pub.pem`);
    writeFileSync(pemFile, pem);
    return { kid: key.kid, pem: pem.toString(), pemFile };
  }
  const start = (name: string, kid: string): Promise<Service> =>
    startOwnService(name, { KEYTURN_EVIDENCE_KEY_FILE: '', KEYTURN_EVIDENCE_KEY_ID: kid });
  const apiKeyFile = (): string => path.join(testStack().directory, 'api-key.pub.pem');

  async function rotate(service: Pick<Service, 'apiUrl'>): Promise<{ id: string }> {
    const { requester, approver1 } = people(service.apiUrl);
    const asked = await askForRotation(requester, cluster.resourceId);
    await approver1.approve(asked.id, asked.plan?.digest ?? '');
    return asked;
  }

  /** As an auditor checks it. */
  function verdictOn(bytes: Uint8Array, publicKeyPem: string): EvidenceVerdict {
    const statements = createStatementVerifier(
      new Map([publicKeyOf(readFileSync(apiKeyFile(), 'utf8'), 'api', OF_API)]),
    );
    return verifyEvidence(bytes, { publicKeyPem, meaning: { statements, minimumApprovals: 1 } });
  }

  function expectSealed({ evidence, id }: OperationAnswer, pem: string, algorithm: string, vaultKeyId: string): Buffer {
    const bytes = readFileSync(evidence?.file ?? '');
    expect(verdictOn(bytes, pem)).toMatchObject({
      ok: true,
      algorithm,
      record: { operation: { id, status: 'Succeeded' }, signer: { algorithm, vaultKeyId } },
    });
    for (const at of [0, Math.floor(bytes.length / 2), bytes.indexOf(vaultKeyId) + 12, bytes.length - 20]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(verdictOn(changed, pem)).toMatchObject({ ok: false });
    }
    return bytes;
  }

  it('waits visibly while Keyturn may not sign, is sealed by itself when it may, and verifies offline: EC, ES256', async () => {
    await grant(false).catch(() => undefined);
    const { kid, pem, pemFile } = await makeKey('evidence-ec', { kty: 'EC', crv: 'P-256' });
    const service = await start('evidence-ec', kid);
    try {
      const { requester } = people(service.apiUrl);
      const { id } = await rotate(service);
      const waiting = await until(
        requester,
        id,
        ({ waitingFor }) => waitingFor?.includes('Key Vault does not sign') === true,
      );
      // The first that it signs is what it found before the switch: so nothing was changed yet.
      expect(waiting).toMatchObject({ status: 'Running', evidence: null });
      expect(waiting.waitingFor).toContain('has no role that lets it sign');
      expect(waiting.waitingFor).toContain('Key Vault Crypto User');
      await grant(true);
      const sealed = await ended(requester, id);
      expect(sealed.waitingFor).toBeNull();
      const bytes = expectSealed(sealed, pem, 'ES256', kid);

      const file = path.join(testStack().directory, 'evidence-ec.json');
      writeFileSync(file, bytes);
      const program = path.join(__dirname, '..', '..', 'dist', 'cli', 'verify-evidence.js');
      const check = ['--key', pemFile, '--api-key', apiKeyFile()];
      const said = execFileSync(process.execPath, [program, file, ...check], { encoding: 'utf8' });
      expect(said).toContain(`Signed by  ${kid} (ES256)`);
      expect(said).toContain('VALID: signed by sha256:');
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
      writeFileSync(file, bytes);
      expect(spawnSync(process.execPath, [program, file, ...check]).status).toBe(1);
    } finally {
      await service.stop();
    }
  });

  it('has ended, and waits visibly to be sealed while the key is disabled, and verifies offline when it was enabled: RSA, PS256', async () => {
    await grant(true);
    const { kid, pem } = await makeKey('evidence-rsa', { kty: 'RSA', key_size: 3072 });
    const enable = (enabled: boolean): Promise<unknown> =>
      azure.request('PATCH', `${kid}?api-version=2025-07-01`, { attributes: { enabled } });
    const env = { KEYTURN_EVIDENCE_KEY_FILE: '', KEYTURN_EVIDENCE_KEY_ID: kid };
    const service = await startDirectedService('evidence-rsa', env);
    try {
      const { requester } = people(service.apiUrl);
      const sealing = service.hold('sealEvidence');
      const { id } = await rotate(service);
      await sealing.held();
      await enable(false);
      sealing.release();
      const waiting = await until(requester, id, ({ waitingFor }) => waitingFor?.includes('is disabled') === true);
      expect(waiting).toMatchObject({ status: 'Succeeded', evidence: null });
      await enable(true);
      expectSealed(await ended(requester, id), pem, 'PS256', kid);
    } finally {
      await service.stop();
    }
  });

  it('does not start with a key that cannot sign, and says why in one sentence', async () => {
    const { kid } = await makeKey('evidence-encrypts', { kty: 'RSA', key_ops: ['encrypt', 'decrypt'] });
    await expect(start('evidence-encrypts', kid)).rejects.toThrow('does not permit the operation sign');
  });
});
