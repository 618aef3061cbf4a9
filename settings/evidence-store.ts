/** Where evidence and the audit log are: a folder, or a container of Azure Blob Storage. API and worker read the same variables. */
import { resolve } from 'node:path';
import { z } from 'zod';
import type { Cloud } from '../domain/clouds';
import { SettingsError, text } from './environment';

/** The variables of this file. */
export const EvidenceStoreVariables = {
  KEYTURN_EVIDENCE_DIRECTORY: text('.keyturn/evidence'),
  KEYTURN_EVIDENCE_STORE: z.string().optional(),
};

const CONTAINER = /^https:\/\/([a-z0-9]{3,24})\.blob\.([a-z.]+)\/([a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9])\/?$/;

/**
 * What the variables say: an absolute folder, or the URL of a container without a slash at its end.
 * @throws SettingsError when it is a URL of something else
 */
export function evidenceStoreOf(
  variables: z.infer<z.ZodObject<typeof EvidenceStoreVariables>>,
  { storageSuffix, name }: Cloud,
): string {
  const { KEYTURN_EVIDENCE_STORE: store, KEYTURN_EVIDENCE_DIRECTORY: directory } = variables;
  if (store === undefined) return resolve(directory);
  if (!/^[a-z][a-z0-9+.-]+:/i.test(store)) return resolve(store);
  const [, account, suffix, container] = CONTAINER.exec(store) ?? [];
  if (account !== undefined && suffix === storageSuffix) return `https://${account}.blob.${suffix}/${container}`;
  throw new SettingsError([
    `KEYTURN_EVIDENCE_STORE must be a folder, or https://<account>.blob.${storageSuffix}/<container> in ${name}, without a query.`,
  ]);
}
