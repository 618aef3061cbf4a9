/** docs/procedures.md is printed from the table of kinds; `npm run write-procedures` writes it. */
import { expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ERRORS } from '../../domain/errors';
import { KINDS } from '../../domain/kinds';
import type { Kind } from '../../domain/kinds/kind';
import { ruleCodes } from '../../domain/planner';
import { planned } from './fixtures';

const PAGE = path.join(__dirname, '../../docs/procedures.md');

const INTRODUCTION = `# Procedures

What can be asked for with \`POST /v1/operations\`, one section for each kind. The steps are those of a cluster with Kubernetes
1.27 or newer (KMS v2) whose current state no operation has proven yet; where it is proven, the steps that begin with
\`current.\` are left out. Those of \`upgrade-to-kms-v2\` are of a cluster with KMS v1. Every kind also refuses a cluster whose ledger cannot be read or whose Secrets the API server
cannot read. This page is printed from the table of kinds (\`npm run write-procedures\`).
`;

function sectionOf(kind: Kind): string {
  const { steps } = planned(kind.name, { proven: false });
  const rules = ruleCodes([kind]).map((code) => `| \`${code}\` | ${ERRORS[code].title} |`);
  return [
    `## ${kind.name}`,
    '',
    `${kind.does} It never ${kind.never} Follows the section "${kind.section}" of the AKS documents on KMS etcd encryption.`,
    '',
    '| step | type | what is done | why |',
    '| --- | --- | --- | --- |',
    ...steps.map(({ id, type, title, reason }) => `| \`${id}\` | ${type} | ${title} | ${reason} |`),
    '',
    'Refused, with nothing changed, when:',
    '',
    '| code | meaning |',
    '| --- | --- |',
    ...rules,
    '',
  ].join('\n');
}

it('docs/procedures.md is what the table of kinds prints', () => {
  const page = [INTRODUCTION, ...KINDS.map(sectionOf)].join('\n');
  if (process.env.KEYTURN_WRITE_PROCEDURES === '1') writeFileSync(PAGE, page);
  expect(readFileSync(PAGE, 'utf8')).toBe(page);
});
