/**
 * The census: what a dry run of every Secret says, before any key is touched.
 *
 * A dry-run patch reads the record from etcd and runs authorization, admission and validation: it finds what cannot be
 * read, what is denied and what does not pass. It encrypts nothing, so it tells neither what is stale, nor whether the API
 * server can encrypt at all, nor whether etcd would take the record.
 */
import { z } from 'zod';
import type { Fault } from './errors';
import type { Warning } from './plan';
import { OF_ONE_SECRET, RefusalReason, suggestionFor } from './refusal';

/** So many Secrets are named for each reason; all are counted. */
export const CENSUS_NAMES = 5;

/** The Secrets that one reason stands in the way of. */
export const CensusProblem = z.object({
  reason: RefusalReason,
  count: z.int(),
  /** The first few, `namespace/name`, in the order of the list. */
  secrets: z.array(z.string()),
  /** What the API server said of the first. */
  message: z.string(),
});
/** The Secrets that one reason stands in the way of. */
export type CensusProblem = z.infer<typeof CensusProblem>;

/** What the census found. Its size does not depend on the number of Secrets. */
export const Census = z.object({
  secrets: z.int(),
  /** In the order of `RefusalReason`. */
  problems: z.array(CensusProblem),
  /** Secrets that were told to be deleted long ago and wait for a finalizer: they are live, and are rewritten like any. */
  finalizing: z.object({ count: z.int(), secrets: z.array(z.string()) }),
});
/** What the census found. */
export type Census = z.infer<typeof Census>;

/** What a dry run says of the rewrite to come. That somebody kept changing a Secret says something of the moment only. */
const FORETOLD: readonly RefusalReason[] = [
  ...OF_ONE_SECRET.filter((reason) => reason !== 'KeptChanging'),
  'EncryptionFailed',
  'ServerError',
];

/** What a dry run found that makes any change of the key wrong. */
export function censusFaults({ problems }: Census): Fault[] {
  return problems.flatMap((problem): Fault[] => {
    const found = `${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`;
    if (problem.reason === 'Unreadable') {
      return [
        {
          code: 'SecretsUnreadable',
          pointer: '/cluster',
          detail: `The API server cannot read ${found} With an unreadable Secret no new API server gets ready, so that a change of the key would wedge the cluster.`,
        },
      ];
    }
    if (problem.reason === 'NotPermitted') {
      return [{ code: 'RewriteNotPermitted', pointer: '/cluster', detail: `Keyturn may not rewrite ${found}` }];
    }
    return [];
  });
}

/** What an approver should know: Secrets that will be left, and what a dry run could not tell. */
export function censusWarnings({ problems, finalizing }: Census): Warning[] {
  const warnings = problems.flatMap((problem): Warning[] => {
    if (problem.reason === 'DryRunUnsupported') {
      return [
        {
          code: 'SecretsNotForetold',
          detail: `A dry run cannot tell whether the API server rewrites ${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`,
        },
      ];
    }
    if (!FORETOLD.includes(problem.reason)) return [];
    return [
      {
        code: 'SecretsRefuseRewrite',
        detail: `${problem.reason}: as things stand the operation will stop, with both keys in use, before ${named(problem)} ${problem.message} ${suggestionFor(problem.reason)}`,
      },
    ];
  });
  if (finalizing.count === 0) return warnings;
  return [
    ...warnings,
    {
      code: 'SecretsFinalizing',
      detail: `${counted(finalizing)} wait for a finalizer to be deleted, and are rewritten like any other.`,
    },
  ];
}

function named(problem: CensusProblem): string {
  return `${counted(problem)}.`;
}

function counted({ count, secrets }: { readonly count: number; readonly secrets: readonly string[] }): string {
  const more = count > secrets.length ? ` and ${count - secrets.length} more` : '';
  return `${count === 1 ? '1 Secret' : `${count} Secrets`}: ${secrets.join(', ')}${more}`;
}
