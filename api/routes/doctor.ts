/** GET /v1/doctor: what Keyturn needs and whether it has it, each with its remedy. `keyturn doctor` shows it. */
import { z } from 'zod';
import { listed } from '../../domain/listed';
import { Role } from '../../domain/people';
import type { WorkerReport } from '../../domain/worker-report';
import type { ApiDeps } from '../deps';
import type { OperationsGateway } from '../operations-gateway';
import { ApiError } from '../problem';
import { route, type Route } from '../route';

/** Clocks of API and worker that differ by more make times in evidence and the age of tokens wrong. */
const CLOCKS_MAY_DIFFER_BY_MS = 5_000;

/** One thing that was looked at. */
export const DoctorCheck = z.object({
  name: z.enum(['temporal', 'worker', 'search-attributes', 'clock', 'signing-key', 'azure']),
  status: z.enum(['ok', 'warning', 'failed']),
  detail: z.string().meta({ description: 'One sentence: what was found.' }),
  remedy: z.string().nullable().meta({ description: 'What to do; null when nothing is wrong.' }),
});
/** One thing that was looked at. */
export type DoctorCheck = z.infer<typeof DoctorCheck>;

/** The answer. */
export const DoctorReport = z
  .object({ at: z.string().meta({ description: 'The clock of the API, ISO 8601.' }), checks: z.array(DoctorCheck) })
  .meta({ id: 'DoctorReport', description: 'What Keyturn needs, and whether it has it.' });

/** The route. */
export function getDoctor({ gateway, clock }: ApiDeps): Route {
  return route({
    method: 'get',
    path: '/v1/doctor',
    operationId: 'getDoctor',
    summary: 'See whether Keyturn has what it needs',
    description:
      'Temporal, the worker and its clock, its signing key, its rights in Azure, and the search attributes: each with what to do. Something that is missing is in the answer; the HTTP status is 200 then, too.',
    roles: [Role.Operator],
    answers: [{ status: 200, description: 'What was found.', schema: DoctorReport }],
    codes: [],
    handle: async () => {
      const checks = await examine(gateway, clock);
      return { status: 200, body: { at: clock().toISOString(), checks } };
    },
  });
}

async function examine(gateway: OperationsGateway, clock: () => Date): Promise<DoctorCheck[]> {
  const [missing] = await gateway.missing();
  if (missing?.code === 'TemporalUnavailable') {
    return [failed('temporal', missing.detail, 'Start Temporal, or correct the TEMPORAL_* settings of the API.')];
  }
  const temporal = ok('temporal', `Temporal answers, namespace "${gateway.namespace}".`);
  if (missing) {
    const worker = failed('worker', missing.detail, 'Start a worker with the same KEYTURN_TASK_QUEUE as the API.');
    return [temporal, worker, await attributes(gateway)];
  }
  const [search, report] = await Promise.all([attributes(gateway), reported(gateway)]);
  if (report instanceof ApiError) {
    const worker = failed('worker', report.message, 'Read the log of the worker, then start it again.');
    return [temporal, worker, search];
  }
  return [
    temporal,
    ok('worker', 'A worker polls the task queue and answers.'),
    search,
    clocks(report, clock()),
    ok('signing-key', signingKey(report)),
    azure(report),
  ];
}

function signingKey({ signingKeyId, signing }: WorkerReport): string {
  if (signing === undefined) return `Evidence is signed with the key ${signingKeyId}.`;
  const { algorithm, vaultKeyId } = signing;
  const by = vaultKeyId === undefined ? '' : ` by ${vaultKeyId}`;
  return `Evidence is signed with the key ${signingKeyId} (${algorithm}${by}).`;
}

async function reported(gateway: OperationsGateway): Promise<WorkerReport | ApiError> {
  try {
    return await gateway.examineWorker();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

async function attributes(gateway: OperationsGateway): Promise<DoctorCheck> {
  try {
    const missing = await gateway.missingSearchAttributes();
    if (missing.length === 0) return ok('search-attributes', 'The namespace has every search attribute.');
    const names = listed(missing.map(({ name }) => name));
    const commands = missing.map(({ command }) => command).join('\n');
    return failed('search-attributes', `The namespace lacks ${names}: operations cannot be started.`, commands);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return {
      name: 'search-attributes',
      status: 'warning',
      detail: `The API could not read the search attributes. ${error.message}`,
      remedy: 'Let the administrator of Temporal compare them with docs/deployment.md.',
    };
  }
}

function clocks({ at }: WorkerReport, now: Date): DoctorCheck {
  const differ = Math.abs(Date.parse(at) - now.getTime());
  // The answer of the worker is a moment old: only what is more than that is a difference of clocks.
  if (differ <= CLOCKS_MAY_DIFFER_BY_MS) return ok('clock', 'The clocks of API and worker agree.');
  return {
    name: 'clock',
    status: 'warning',
    detail: `The clocks of API and worker differ by ${Math.round(differ / 1000)} s.`,
    remedy: 'Synchronize both machines with NTP: times in evidence and the age of approvals depend on them.',
  };
}

function azure({ azure: seen }: WorkerReport): DoctorCheck {
  const rights = 'See the rights that Keyturn needs in docs/settings.md.';
  if ('failed' in seen) {
    return failed('azure', `The worker could not ask Azure. ${seen.failed}`, `Check the AZURE_* settings. ${rights}`);
  }
  const { objectId, clusters, refusedSubscriptions } = seen;
  const who = `Keyturn is ${objectId} in Entra and sees ${clusters} AKS cluster${clusters === 1 ? '' : 's'}`;
  if (clusters === 0) {
    return failed('azure', `${who}.`, `Give it the right to read managed clusters. ${rights}`);
  }
  if (refusedSubscriptions.length === 0) return ok('azure', `${who}.`);
  const hidden = listed(refusedSubscriptions);
  return {
    name: 'azure',
    status: 'warning',
    detail: `${who}, and may not list the clusters of the subscriptions ${hidden}: it cannot tell whether they need a key.`,
    remedy: `Give it Reader on these subscriptions. ${rights}`,
  };
}

const ok = (name: DoctorCheck['name'], detail: string): DoctorCheck => ({ name, status: 'ok', detail, remedy: null });

const failed = (name: DoctorCheck['name'], detail: string, remedy: string): DoctorCheck => ({
  name,
  status: 'failed',
  detail,
  remedy,
});
