/** GET /v1/operations/{id}/evidence: the signed record, byte for byte as it was sealed. */
import { digestOfBytes } from '../../evidence/digest';
import { basename } from 'node:path';
import { EvidenceFile } from '../../domain/evidence';
import { isFinal } from '../../domain/operation';
import { Role } from '../../domain/people';
import type { RecordStore } from '../../evidence/store';
import type { ApiDeps } from '../deps';
import { ApiError } from '../problem';
import { route, type Route } from '../route';
import { OperationIdParams, readableOperation } from './get-operation';

/** The route. */
export function getEvidence(deps: ApiDeps): Route {
  const { store } = deps;
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
    handle: async ({ caller, params: { id } }) => {
      const { evidence, status } = await readableOperation(deps, caller, id);
      if (evidence === null) {
        // The memo of an operation that was ended from outside cannot be written any more; the sweeper seals it all the same.
        const swept = isFinal(status) ? await store.read(`${id}.json`) : undefined;
        if (swept) return { status: 200, body: swept, headers: { ETag: `"${digestOfBytes(swept)}"` } };
        const when = isFinal(status)
          ? 'The operation has ended, and its evidence is not sealed yet. Ask again. If it lasts, look at the log of the worker.'
          : 'Evidence is sealed when the operation has ended.';
        throw new ApiError({ code: 'EvidenceNotReady', detail: `Operation ${id} is ${status}. ${when}` });
      }
      const body = await readSealed(store, basename(evidence.file), evidence.digest);
      return { status: 200, body, headers: { ETag: `"${evidence.digest}"` } };
    },
  });
}

/** The bytes of a file whose digest is still the sealed one. The reader checks the signature. */
async function readSealed(store: RecordStore, file: string, digest: string): Promise<Buffer> {
  let bytes: Buffer | undefined;
  let cause: unknown = new Error(`There is no ${file} in ${store.where}.`);
  try {
    bytes = await store.read(file);
  } catch (error) {
    cause = error;
  }
  if (bytes === undefined) {
    throw new ApiError(
      {
        code: 'InternalError',
        detail: `The evidence was sealed, but ${file} cannot be read from the evidence store of this API. Worker and API must share it (KEYTURN_EVIDENCE_STORE, KEYTURN_EVIDENCE_DIRECTORY).`,
      },
      { cause },
    );
  }
  const actual = digestOfBytes(bytes);
  if (actual === digest) return bytes;
  throw new ApiError(
    {
      code: 'InternalError',
      detail: `${file} was changed after it was sealed: the operation names the digest ${digest}, and the file has ${actual}. Find out who changed it.`,
    },
    { cause: new Error(`${file} was changed after it was sealed.`) },
  );
}
