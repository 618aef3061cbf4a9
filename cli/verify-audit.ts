/**
 * `npm run verify-audit`: checks the audit log of a store. Exit code 0 when it is good, 1 when it is broken (each fault has file and
 * line), 2 when nothing can be said: the store cannot be read, or has no audit log.
 */
import { Command } from 'commander';
import { z } from 'zod';
import { CLOUDS, type Cloud } from '../domain/clouds';
import { openStore } from '../evidence/open-store';
import { verifyAudit } from '../evidence/verify-audit';
import { oneOf, readEnvironment } from '../settings/environment';
import { evidenceStoreOf, EvidenceStoreVariables } from '../settings/evidence-store';
import { runCommand } from './terminal';

/** Nothing can be said of the log. */
const CANNOT_SAY = 2;

const command = new Command('npm run verify-audit --')
  .description('Checks that no line of the audit log was changed, removed, moved or cut off.')
  .option('--store <where>', 'folder or container URL of the evidence store; default: as KEYTURN_EVIDENCE_STORE says')
  .parse();

async function main(): Promise<number> {
  try {
    const { where, cloud } = settingsOf(command.opts<{ store?: string }>().store);
    const { files, lines, evidence, faults } = await verifyAudit(openStore(where, cloud));
    for (const { file, line, why } of faults) console.error(`BROKEN  ${file}, line ${line}: ${why}`);
    if (faults.length > 0) {
      console.error(`\nThe audit log in ${where} is broken in ${faults.length} of ${files} files.`);
      return 1;
    }
    if (files === 0) {
      console.error(`There is no audit log in ${where}. Name the evidence store that API and worker use.`);
      return CANNOT_SAY;
    }
    console.log(`GOOD    ${lines} lines in ${files} files; ${evidence} evidence files name lines of them.`);
    console.log(
      'Lines at the end of a file that nothing has seen yet may be missing all the same: see docs/security.md.',
    );
    return 0;
  } catch (error) {
    console.error(`The audit log cannot be checked. ${error instanceof Error ? error.message : String(error)}`);
    return CANNOT_SAY;
  }
}

function settingsOf(store: string | undefined): { readonly where: string; readonly cloud: Cloud } {
  const names = CLOUDS.map(({ name }) => name);
  const Variables = z.object({ ...EvidenceStoreVariables, KEYTURN_CLOUD: oneOf(names, 'AzureCloud') });
  const variables = readEnvironment(Variables, {
    ...process.env,
    ...(store === undefined ? {} : { KEYTURN_EVIDENCE_STORE: store }),
  });
  const cloud = CLOUDS.find(({ name }) => name === variables.KEYTURN_CLOUD);
  if (!cloud) throw new Error('There is no such cloud.');
  return { where: evidenceStoreOf(variables, cloud), cloud };
}

runCommand(main);
