/** docs/procedures.md is printed from the table of kinds; `npm run write-procedures` writes it. */
import { expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { ERRORS } from '../../domain/errors';
import { KINDS } from '../../domain/kinds';
import type { Kind } from '../../domain/kinds/kind';
import { ruleCodes } from '../../domain/planner';
import { planned } from './fixtures';

/** What is printed of the schema of the parameters: each has a description. */
const Parameters = z.object({
  properties: z.record(z.string(), z.object({ description: z.string() })),
  required: z.array(z.string()).default([]),
});

const PAGE = path.join(__dirname, '../../docs/procedures.md');

const INTRODUCTION = `# Procedures

This page lists what a requester can ask for with \`POST /v1/operations\`: one section for each kind.

- **Steps.** The steps are those of a cluster with KMS v2 (Kubernetes 1.27 or newer) whose current state no operation has proven yet.
  The steps of \`upgrade-to-kms-v2\` are those of a cluster with KMS v1. Where the current state is proven, the plan leaves out the
  steps that begin with \`current.\`, except in \`rewrite-secrets\` and \`retire-key\`. The steps of \`recover-key\` are those of a cluster whose
  current key version is disabled and expired: each plan has the repairs that its cluster needs.
  With \`enableVnetIntegration\` a plan has the gate \`approve-vnet-integration\` too, and before all other steps \`vnet.enable-integration\`,
  \`vnet.stop-cluster\`, \`vnet.start-cluster\` and \`vnet.await-api-servers\`.
- **Gates.** At a step of the type \`gate\` the operation waits for an approver. The id of the step is the name of the gate.
- **Refusals.** Keyturn also refuses a cluster whose ledger it cannot read, or whose Secrets the API server cannot read.

\`npm run write-procedures\` prints this page from the table of kinds.
`;

function sectionOf(kind: Kind): string {
  const { steps } = planned(kind.name, { proven: false });
  const rules = ruleCodes([kind]).map((code) => `| \`${code}\` | ${ERRORS[code].title} |`);
  return [
    `## ${kind.name}`,
    '',
    `${kind.does} It never ${kind.never} Follows the section "${kind.section}" of the AKS documents on ${kind.needs.includes('csi') ? 'the Secrets Store CSI driver' : 'KMS etcd encryption'}.`,
    '',
    ...parametersOf(kind),
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

function parametersOf({ parameters }: Kind): string[] {
  const schema = Parameters.parse(z.toJSONSchema(parameters, { io: 'input' }));
  const names = Object.entries(schema.properties);
  if (names.length === 0) return ['It takes no parameters.', ''];
  return [
    '| parameter | | meaning |',
    '| --- | --- | --- |',
    ...names.map(([name, { description }]) => {
      const needed = schema.required.includes(name) ? 'required' : 'optional';
      return `| \`${name}\` | ${needed} | ${description} |`;
    }),
    '',
  ];
}

it('docs/procedures.md is what the table of kinds prints', () => {
  const page = [INTRODUCTION, ...KINDS.map(sectionOf)].join('\n');
  if (process.env.KEYTURN_WRITE_PROCEDURES === '1') writeFileSync(PAGE, page);
  expect(readFileSync(PAGE, 'utf8')).toBe(page);
});
