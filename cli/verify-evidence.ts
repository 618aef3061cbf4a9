/**
 * `npm run verify-evidence -- FILE`: checks an evidence file, offline. Exit code 0 only when it holds and its signer is known; 1 when it
 * does not hold, 2 when nothing says whose signature it is.
 */
import { Command } from 'commander';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { EvidenceRecord } from '../domain/evidence';
import type { OperationResult } from '../domain/operation';
import { shortKeyId } from '../domain/resource-ids';
import { OF_EVIDENCE } from '../evidence/receipts';
import { verifyEvidence, type EvidenceVerdict } from '../evidence/verify';
import { OF_API, readPublicKeys } from '../trust/public-keys';
import { createStatementVerifier } from '../trust/verify';
import { runCommand } from './terminal';

const OWN_KEY = path.resolve('.keyturn', 'evidence-key.pub.pem');
const OWN_API_KEY = path.resolve('.keyturn', 'api-key.pub.pem');

const command = new Command('npm run verify-evidence --')
  .description(
    'Checks that an evidence file is what Keyturn signed, byte for byte, that what it says was approved and is consistent, and says what it is evidence of.',
  )
  .argument('<file>', 'the evidence file')
  .option(
    '--key <file>',
    `public key (PEM) that it must be signed with; default: ${path.relative('.', OWN_KEY)}, if it exists`,
  )
  .option(
    '--api-key <files...>',
    `public keys (PEM) of the API, which signed request and decisions; default: ${path.relative('.', OWN_API_KEY)}, if it exists`,
  )
  .option(
    '--earlier-key <files...>',
    'public keys (PEM) that evidence was signed with before: what the steps of an operation found may be signed with one of them',
  )
  .option('--minimum-approvals <number>', 'approvals that each gate needs at least', '1')
  .parse();

const keyName = (keyId: string | null): string => (keyId === null ? 'plaintext (KMS off)' : shortKeyId(keyId));

async function main(): Promise<number> {
  const [file = ''] = command.args;
  const { key, apiKey, earlierKey, minimumApprovals } = command.opts<{
    key?: string;
    apiKey?: string[];
    earlierKey?: string[];
    minimumApprovals: string;
  }>();
  const keyFile = key ?? (existsSync(OWN_KEY) ? OWN_KEY : undefined);
  const apiKeys = apiKey ?? (existsSync(OWN_API_KEY) ? [OWN_API_KEY] : undefined);
  const statements = apiKeys && createStatementVerifier(await readPublicKeys(apiKeys, OF_API));
  const verdict = verifyEvidence(readFileSync(file), {
    publicKeyPem: keyFile === undefined ? undefined : readFileSync(keyFile, 'utf8'),
    earlierKeys: await readPublicKeys(earlierKey ?? [], OF_EVIDENCE),
    meaning: { statements, minimumApprovals: Number(minimumApprovals) },
  });
  if (!verdict.ok) {
    console.error(`NOT VALID: ${verdict.why}`);
    return 1;
  }
  console.log([...summaryOf(verdict.record), signerText(verdict)].join('\n'));
  if (keyFile === undefined || apiKeys === undefined) {
    console.log(`\nSIGNER UNKNOWN: consistent, and signed by ${verdict.keyId}`);
    console.log(
      keyFile === undefined
        ? 'No public key was given, so anybody may have signed this. Get the key that your Keyturn installation publishes, and use --key.'
        : 'No public key of the API was given, so nothing says that people asked and approved. Use --api-key.',
    );
    return 2;
  }
  console.log(`\nVALID: signed by ${verdict.keyId}, which is the key in ${path.relative('.', keyFile)}.`);
  return 0;
}

function summaryOf({ operation, sealedAt }: EvidenceRecord): string[] {
  const { result } = operation;
  return [
    `Operation  ${operation.id} (${operation.kind}), ${operation.status}${operation.reason ? `: ${operation.reason.detail}` : ''}`,
    `Change     ${operation.request.change.number}`,
    `Cluster    ${operation.request.cluster}`,
    `Asked by   ${operation.requestedBy.name} (${operation.requestedBy.objectId}) at ${operation.requestedAt}`,
    ...operation.approvals.map(({ by, at }) => `Approved   by ${by.name} (${by.objectId}) at ${at}`),
    ...(result
      ? [
          `Keys       ${keyName(result.previousKeyId)} -> ${keyName(result.currentKeyId)}`,
          ...(result.keyId === undefined ? [] : [`Key ready  ${result.keyId}`]),
          `Proof      ${proofText(result.proof)}`,
        ]
      : []),
    `Sealed at  ${sealedAt}`,
  ];
}

/** By what it was signed; which key that is, the public key shows. */
function signerText({ record, keyId, algorithm }: Extract<EvidenceVerdict, { ok: true }>): string {
  return `Signed by  ${record.signer?.vaultKeyId ?? keyId} (${algorithm})`;
}

function proofText(proof: OperationResult['proof']): string {
  if (proof === null) return 'none: the plan did not change how Secrets are stored';
  const { secrets, unproven, bounds, finalRv } = proof;
  return `${secrets} Secrets, ${unproven} unproven; R0 ${bounds.baselineRv}, Rc ${bounds.convergedRv}, final list ${finalRv}`;
}

runCommand(main);
