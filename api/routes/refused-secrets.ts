/** GET /v1/operations/{id}/refused-secrets: all Secrets that the last rewrite or proof was refused, as lines of JSON. */
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Role } from '../../domain/people';
import { refusedReportName, reportingSteps } from '../../domain/refused-report';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { findOperation, OperationIdParams } from './get-operation';

/** The route. */
export function getRefusedSecrets({ gateway, evidenceDirectory }: ApiDeps): Route {
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
    handle: async ({ params: { id } }) => {
      const operation = await findOperation(gateway, id);
      for (const step of reportingSteps(operation)) {
        // The memo is not trusted with the name of a file.
        const name = refusedReportName(id, step);
        const file = name === undefined ? undefined : await opened(join(evidenceDirectory, name));
        // Streamed: there may be as many as the cluster has Secrets.
        if (file) return { status: 200, body: file.createReadStream() };
      }
      throw new ApiError({
        code: 'NoRefusedSecrets',
        detail: `The last rewrite or proof of operation ${id} refused no Secret, or none has ended yet. Worker and API must share KEYTURN_EVIDENCE_DIRECTORY.`,
      });
    },
  });
}

async function opened(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
