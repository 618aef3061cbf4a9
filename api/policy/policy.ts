/**
 * The policy: who may ask for, approve and read which kinds on which clusters, how many approvals that takes, and which accounts are
 * one person's. This file is the form of the policy file; decide.ts says what follows from it.
 */
import { z } from 'zod';
import { KINDS } from '../../domain/kinds';

/** What a rule can give. `request`, `approve` and `break-glass` include `read`. */
export const RIGHTS = ['request', 'approve', 'read', 'break-glass'] as const;
/** One of them. */
export type Right = (typeof RIGHTS)[number];

/** Every kind, or every cluster. */
export const ALL = '*';
/** A list of operations asks Temporal for each scope. */
const MOST_SCOPES = 500;
const GROUP = /^\/subscriptions\/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:\/resourceGroups\/[-\w.()]{1,90})?$/i;
/** What a plan changes beside its cluster, by the first part of its ARM id below its resource group. */
const RESOURCE =
  /\/providers\/(?:Microsoft\.ContainerService\/managedClusters\/[a-z0-9](?:[-_a-z0-9]{0,61}[a-z0-9])?|Microsoft\.KeyVault\/vaults\/[a-z](?:-?[a-z0-9]){2,23}|Microsoft\.ManagedIdentity\/userAssignedIdentities\/[a-z0-9][-\w]{2,127}|Microsoft\.OperationalInsights\/workspaces\/[a-z0-9][-a-z0-9]{2,61}[a-z0-9]|Microsoft\.Network\/virtualNetworks\/[-\w.]{2,64}(?:\/subnets\/[-\w.]{1,80})?)$/i;

function isScope(text: string): boolean {
  const group = text.replace(RESOURCE, '');
  return GROUP.test(group) && (group === text || /\/resourceGroups\//i.test(group));
}

const kindNames = KINDS.map(({ name }) => name);
const id = z.string().trim().min(1).max(100);

/** `*` stands for a list of its own. */
const listOrAll = <Item extends z.ZodType>(item: Item): z.ZodType<readonly z.infer<Item>[]> =>
  z.preprocess((value) => (value === ALL ? [ALL] : value), z.array(item).min(1));

const kinds = listOrAll(z.enum([ALL, ...kindNames], { error: `Expected ${ALL} or a kind: ${kindNames.join(', ')}.` }));
const scopes = listOrAll(
  z.string().refine((scope) => scope === ALL || isScope(scope), {
    error: `Expected ${ALL}, or the ARM id of a subscription, of a resource group, or of a managed cluster, vault, identity, workspace, network or subnet, without a slash at the end.`,
  }),
);

const Rule = z.strictObject({
  name: z.string().trim().min(1).max(100),
  /** One of these must be the caller's. */
  who: z
    .strictObject({
      /** App roles of the token. */
      roles: z.array(z.string().min(1)).optional(),
      /** Ids of groups, as the token writes them. */
      groups: z.array(id).optional(),
      /** Object ids of people and programs. */
      ids: z.array(id).optional(),
    })
    .refine(({ roles = [], groups = [], ids = [] }) => roles.length + groups.length + ids.length > 0, {
      error: 'Expected at least one entry in roles, groups or ids: a rule for nobody is a mistake.',
    }),
  may: z.array(z.enum(RIGHTS, { error: `Expected one of ${RIGHTS.join(', ')}.` })).min(1),
  kinds,
  scopes,
});

const MoreApprovals = z
  .strictObject({
    required: z.int().min(1).max(5),
    kinds: kinds.optional(),
    scopes: scopes.optional(),
    /** Tags of the cluster, all of which must have these values. */
    tags: z
      .record(z.string().min(1), z.string({ error: 'Expected a text: put numbers and yes/no in quotation marks.' }))
      .refine((tags) => Object.keys(tags).length > 0, { error: 'Expected at least one tag.' })
      .optional(),
  })
  .refine((rule) => rule.kinds !== undefined || rule.scopes !== undefined || rule.tags !== undefined, {
    error: 'Expected kinds, scopes or tags: approvals for everything are in approvals.required.',
  });

const Approvals = z.strictObject({
  /** For everything. */
  required: z.int().min(1).max(5).optional(),
  /** How long an approval counts. */
  validForSeconds: z
    .int()
    .min(1)
    .max(30 * 86_400)
    .optional(),
  /** The longest wait for approvals: a request may ask for less. */
  longestWaitSeconds: z
    .int()
    .min(1)
    .max(14 * 86_400)
    .optional(),
  /** Where more are needed. Of all that apply, the largest counts. */
  more: z.array(MoreApprovals).max(200).default([]),
});

const Person = z.strictObject({
  /** The object id that stands for the person. */
  id,
  name: z.string().max(100).optional(),
  /** Object ids of the person's other accounts. */
  accounts: z.array(id).min(1),
});

/** The policy file. */
export const Policy = z
  .strictObject({
    version: z.literal(1, { error: 'Expected 1: this version of Keyturn knows no other form of the file.' }),
    rules: z.array(Rule).max(200),
    approvals: Approvals.default({ more: [] }),
    people: z.array(Person).default([]),
  })
  .superRefine(({ rules, people }, context) => {
    const count = rules.reduce((sum, rule) => sum + rule.scopes.length, 0);
    if (count > MOST_SCOPES) {
      const message = `The rules have ${count} scopes together, and there is room for ${MOST_SCOPES}. Name resource groups or subscriptions instead of clusters.`;
      context.addIssue({ code: 'custom', path: ['rules'], message });
    }
    const seen = new Set<string>();
    people.forEach((person, index) => {
      const ids = [person.id, ...person.accounts].map((one) => one.toLowerCase());
      ids.forEach((one, place) => {
        const path = ['people', index, ...(place === 0 ? ['id'] : ['accounts', place - 1])];
        const message = 'This account is listed already: one account is one person.';
        if (seen.has(one)) context.addIssue({ code: 'custom', path, message });
        seen.add(one);
      });
    });
  });
/** The policy file, read. */
export type Policy = z.infer<typeof Policy>;
