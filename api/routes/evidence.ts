/** GET /v1/operations/{id}/evidence: the signed record, byte for byte as it was sealed. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EvidenceFile } from '../../domain/evidence';
import { isFinal } from '../../domain/operation';
import { Role } from '../../domain/people';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { findOperation, OperationIdParams } from './get-operation';

/** The route. */
export function getEvidence({ gateway, evidenceDirectory }: ApiDeps): Route {
  return route({
    method: 'get',
    path: '/v1/operations/{id}/evidence',
    operationId: 'getEvidence',
    summary: 'Get the signed evidence of an operation',
    description: 'The exact bytes that Keyturn signed and wrote. Check them before you parse them.',
    roles: [Role.Reader, Role.Operator, Role.Approver],
    params: OperationIdParams,
    answers: [
      {
        status: 200,
        description: 'The evidence file.',
        schema: EvidenceFile.meta({ id: 'Evidence' }),
        headers: { ETag: 'The digest that the operation names: SHA-256 of these bytes.' },
      },
    ],
    codes: ['OperationNotFound', 'EvidenceNotReady', 'TemporalUnavailable'],
    handle: async ({ params: { id } }) => {
      const { evidence, status } = await findOperation(gateway, id);
      if (evidence === null) {
        const when = isFinal(status)
          ? 'The operation has ended, and its evidence is not sealed yet. Ask again. If it lasts, look at the log of the worker.'
          : 'Evidence is sealed when the operation has ended.';
        throw new ApiError({ code: 'EvidenceNotReady', detail: `Operation ${id} is ${status}. ${when}` });
      }
      const body = await readSealed(join(evidenceDirectory, basename(evidence.file)), evidence.digest);
      return { status: 200, body, headers: { ETag: `"${evidence.digest}"` } };
    },
  });
}

/** The bytes of a file whose digest is still the sealed one. The reader checks the signature. */
async function readSealed(file: string, digest: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    throw new ApiError(
      {
        code: 'InternalError',
        detail: `The evidence was sealed, but ${basename(file)} is not in the evidence directory of this API. Worker and API must share KEYTURN_EVIDENCE_DIRECTORY.`,
      },
      { cause },
    );
  }
  const actual = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (actual === digest) return bytes;
  throw new ApiError(
    {
      code: 'InternalError',
      detail: `${basename(file)} was changed after it was sealed: the operation names the digest ${digest}, and the file has ${actual}. Find out who changed it.`,
    },
    { cause: new Error(`${file} was changed after it was sealed.`) },
  );
}
