/** What the report of the pod that proves rotation means. Pure. */
import { z } from 'zod';
import { parseJson } from '../../azure/errors';
import { needsPerson } from '../failures';
import type { PodNames } from './mount-report';

/** What the sentences name. */
export interface RotationFacts {
  readonly names: PodNames;
  readonly probe: string;
  readonly vaultName: string;
  readonly pollInterval: string;
  readonly limitInMs: number;
}

/** As the program writes it. */
const Report = z.object({ version: z.string().regex(/^\w{0,64}$/), word: z.string().regex(/^\w{1,60}$/) });

/**
 * The version that the file followed to.
 * @param detail how the container ended
 * @throws ApplicationFailure `RotationFailed`, non-retryable
 */
export function judgeRotation(
  { message, detail }: { readonly message: string; readonly detail: string },
  facts: RotationFacts,
): string {
  const report = Report.safeParse(parseJson(message)).data;
  if (report === undefined) {
    throw rotationFailed(
      facts,
      `the program of the pod left no report (${detail}). Its image must have Node.js 18 or newer as "node".`,
    );
  }
  if (report.word === 'equal') return report.version;
  const within = `${Math.round(facts.limitInMs / 1_000)} s`;
  if (report.word === 'unchanged') {
    throw rotationFailed(
      facts,
      `the file was not renewed within ${within} after the vault had a second version. The identity can read that version, so the driver did not fetch it: look at the daemon sets aks-secrets-store-csi-driver and aks-secrets-store-provider-azure in kube-system.`,
    );
  }
  throw rotationFailed(
    facts,
    `the identity could not read the vault for ${within} after that: ${report.word}. Look at its rights, its federated credential, and the way from the nodes to the vault.`,
  );
}

/** @param why the end of a sentence about what the pod saw, and what to look at */
export function rotationFailed({ names, probe, vaultName, pollInterval }: RotationFacts, why: string): Error {
  return needsPerson(
    'RotationFailed',
    `The pod ${names.pod} mounted ${probe} of the vault ${vaultName}, with rotation every ${pollInterval}, and ${why} Pods that start get what the vault has; pods that run may keep an old version. Keys are as they were. Remove the cause, then retry; or cancel.`,
  );
}
