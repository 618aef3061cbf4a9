/** Evidence of the test run, verified as an auditor does it: signature, quorum, and what follows from what. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { OperationAnswer } from '../../cli/api-client';
import { verifyEvidence, type EvidenceVerdict } from '../../evidence/verify';
import { OF_API, publicKeyOf } from '../../trust/public-keys';
import { createStatementVerifier } from '../../trust/verify';
import { testStack } from './stack';

/** The verdict on the evidence of an operation of the test run. */
export function evidenceOf({ evidence }: Pick<OperationAnswer, 'evidence'>): EvidenceVerdict {
  return verdictOn(readFileSync(evidence?.file ?? ''));
}

/** The verdict on the bytes of an evidence file of the test run. */
export function verdictOn(bytes: Uint8Array): EvidenceVerdict {
  const pem = (name: string): string => readFileSync(path.join(testStack().directory, name), 'utf8');
  const statements = createStatementVerifier(new Map([publicKeyOf(pem('api-key.pub.pem'), 'api-key.pub.pem', OF_API)]));
  return verifyEvidence(bytes, {
    publicKeyPem: pem('evidence-key.pub.pem'),
    meaning: { statements, minimumApprovals: 1 },
  });
}
