/** GET /v1/operations/{id}/refused-secrets: all Secrets that the last rewrite or proof was refused, as lines of JSON. */
import { Role } from '../../domain/people';
import { latestReport, refusedReportPrefix, reportingSteps } from '../../domain/refused-report';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { OperationIdParams, readableOperation } from './get-operation';

/** The route. */
export function getRefusedSecrets(deps: ApiDeps): Route {
  const { store } = deps;
  return route({
    method: 'get',
    path: '/v1/operations/{id}/refused-secrets',
    operationId: 'getRefusedSecrets',
    summary: 'List every Secret that the last rewrite or proof of an operation was refused',
    description:
      'One JSON object in each line: namespace, name, reason, message, suggestion; never a value. It has all, also where `blockedSecrets` has no room to name them. It is not signed.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: OperationIdParams,
    answers: [{ status: 200, description: 'Lines of JSON.', mediaType: 'application/x-ndjson' }],
    codes: ['OperationNotFound', 'NoRefusedSecrets', 'TemporalUnavailable'],
    handle: async ({ caller, params: { id } }) => {
      const operation = await readableOperation(deps, caller, id);
      for (const step of reportingSteps(operation)) {
        // The memo is not trusted with the name of a file.
        const prefix = refusedReportPrefix(id, step);
        const name = prefix && latestReport(await store.list(`${id}.${step}`), id, step);
        const report = name && (await store.open(name));
        // The last pass of the step refused none.
        if (report && report.size === 0) break;
        // Streamed: there may be as many as the cluster has Secrets.
        if (report) return { status: 200, body: report.stream() };
      }
      throw new ApiError({
        code: 'NoRefusedSecrets',
        detail: `The last rewrite or proof of operation ${id} refused no Secret, or none has ended yet. Worker and API must share the evidence store (KEYTURN_EVIDENCE_STORE).`,
      });
    },
  });
}
