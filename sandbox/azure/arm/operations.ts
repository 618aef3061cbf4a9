/**
 * ARM's long-running operations (facts 1.2).
 *
 * Needs: the faults `hold-operation`, `fail-operation` and `stuck-operation-url`.
 * Does: runs work in the background, keeps its status, answers polls.
 * Never does: retry work, take back what an aborted operation did, or forget an operation.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { Router, type Request, type Response } from 'express';
import { messageOf } from '../../message-of';
import type { Faults } from '../faults';
import { AzureError } from '../errors';
import type { JsonObject } from '../json';

/** Why an operation failed, as polls and the resource show it. */
export interface OperationFailure {
  readonly code: string;
  readonly message: string;
}

/** One long-running operation. */
export interface Operation {
  readonly id: string;
  /** The resource that it is about. */
  readonly resourceId: string;
  readonly location: string;
  readonly startTime: Date;
  readonly status: 'InProgress' | 'Succeeded' | 'Failed' | 'Canceled';
  readonly endTime?: Date;
  readonly failure?: OperationFailure;
}

/** What an operation does and who wants to know how it ended. */
export interface OperationWork {
  /** The resource that it is about. */
  readonly resourceId: string;
  readonly location: string;
  /** Does the work; what it throws becomes the failure. */
  readonly run: () => Promise<void>;
  /** The code of a failure that `run` throws without one of its own. */
  readonly failureCode: string;
  /** Called once, before polls see the end. @param failure of one that Failed or was Canceled, where there is a reason */
  readonly settled: (status: 'Succeeded' | 'Failed' | 'Canceled', failure: OperationFailure | undefined) => void;
}

/** Every operation since the sandbox started. */
export class Operations {
  readonly #operations = new Map<string, Operation>();
  readonly #running = new Map<string, { readonly ended: Promise<void>; readonly abort: AbortController }>();
  readonly #faults: Faults;
  readonly #closed = new AbortController();
  readonly #signingKey = randomBytes(32);

  constructor(
    faults: Faults,
    /** The `Retry-After` of answers that are not final, in seconds. */
    readonly retryAfterInSeconds: number,
  ) {
    this.#faults = faults;
  }

  /** Starts work in the background. */
  start(work: OperationWork): Operation {
    const operation: Operation = {
      id: randomUUID(),
      resourceId: work.resourceId,
      location: work.location.toLowerCase().replaceAll(' ', ''),
      startTime: new Date(),
      status: 'InProgress',
    };
    this.#operations.set(operation.id, operation);
    const abort = new AbortController();
    const ended = this.#run(operation, work, abort.signal).finally(() => this.#running.delete(operation.id));
    this.#running.set(operation.id, { ended, abort });
    return operation;
  }

  /**
   * Ends an operation as Canceled: one that is held does nothing; one whose work is under way finishes it, as AKS takes nothing back.
   * Resolves when it has ended.
   */
  async abort(id: string): Promise<void> {
    const running = this.#running.get(id);
    running?.abort.abort();
    await running?.ended;
  }

  /** Resolves when an operation has ended, in whatever way. */
  async ended(id: string): Promise<void> {
    await this.#running.get(id)?.ended;
  }

  get(id: string): Operation | undefined {
    return this.#operations.get(id.toLowerCase());
  }

  /** An operation as polls show it. */
  shown(operation: Operation): Operation {
    const stuck = this.#faults.about('stuck-operation-url', operation.resourceId) !== undefined;
    return stuck ? { ...operation, status: 'InProgress', endTime: undefined, failure: undefined } : operation;
  }

  all(): readonly Operation[] {
    return [...this.#operations.values()];
  }

  /** The headers that tell a client where to poll. `final` adds the Location of operations that return no body. */
  headersFor(
    operation: Operation,
    request: Request,
    options: { readonly final?: boolean } = {},
  ): Record<string, string> {
    const base = `https://${request.hostname}/subscriptions/${subscriptionOf(request)}/providers/Microsoft.ContainerService/locations/${operation.location}`;
    const query = `api-version=2016-03-30&${this.#signature(operation)}`;
    return {
      'Azure-AsyncOperation': `${base}/operations/${operation.id}?${query}`,
      ...(options.final === true ? { Location: `${base}/operationresults/${operation.id}?${query}` } : {}),
      'Retry-After': String(this.retryAfterInSeconds),
    };
  }

  /** Whether a poll came with the query that the service gave out: clients must keep the URL verbatim. */
  isVerbatim(operation: Operation, request: Request): boolean {
    const { t, h } = request.query;
    if (typeof t !== 'string' || typeof h !== 'string') return false;
    return new URLSearchParams({ t, h }).toString() === this.#signature(operation);
  }

  /** Cancels what is held and waits until nothing runs. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #run(operation: Operation, work: OperationWork, aborted: AbortSignal): Promise<void> {
    const released = await this.#waitWhileHeld(work.resourceId, AbortSignal.any([this.#closed.signal, aborted]));
    if (!released) {
      work.settled('Canceled', undefined);
      this.#finish(operation, 'Canceled');
      return;
    }
    const fault = this.#faults.takeOnce('fail-operation', work.resourceId);
    let failure: OperationFailure | undefined;
    try {
      if (fault === undefined || fault.applied) await work.run();
    } catch (error) {
      failure = failureOf(error, work.failureCode);
    }
    if (fault !== undefined) failure = { code: fault.code, message: fault.message };
    const status = aborted.aborted ? 'Canceled' : failure === undefined ? 'Succeeded' : 'Failed';
    work.settled(status, failure);
    this.#finish(operation, status, failure);
  }

  /** False when it was given up meanwhile. */
  async #waitWhileHeld(resourceId: string, signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted && this.#faults.about('hold-operation', resourceId)) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          stopListening();
          signal.removeEventListener('abort', done);
          resolve();
        };
        const stopListening = this.#faults.onChange(done);
        signal.addEventListener('abort', done);
      });
    }
    return !signal.aborted;
  }

  #finish(operation: Operation, status: Operation['status'], failure?: OperationFailure): void {
    this.#operations.set(operation.id, { ...operation, status, endTime: new Date(), failure });
  }

  #signature(operation: Operation): string {
    const t = String(operation.startTime.getTime());
    const h = createHmac('sha256', this.#signingKey).update(`${operation.id}/${t}`).digest('base64url');
    return new URLSearchParams({ t, h }).toString();
  }
}

/** The two poll routes. */
export function operationsRouter(operations: Operations): Router {
  const router = Router();
  const base = '/subscriptions/:subscription/providers/Microsoft.ContainerService/locations/:location';

  router.get(`${base}/operations/:id`, (request, response) => {
    const operation = operations.shown(requireOperation(operations, request, request.params.id));
    retryAfter(operation, operations, response).json(statusBody(operation));
  });

  router.get(`${base}/operationresults/:id`, (request, response) => {
    const operation = operations.shown(requireOperation(operations, request, request.params.id));
    if (operation.failure !== undefined) {
      throw new AzureError(409, operation.failure.code, operation.failure.message);
    }
    if (operation.status === 'InProgress')
      response.set('Location', `https://${request.hostname}${request.originalUrl}`);
    retryAfter(operation, operations, response)
      .status(operation.status === 'InProgress' ? 202 : 204)
      .end();
  });
  return router;
}

function requireOperation(operations: Operations, request: Request, id: string): Operation {
  const operation = operations.get(id);
  if (operation !== undefined && operations.isVerbatim(operation, request)) return operation;
  throw new AzureError(
    404,
    'NotFound',
    `The operation ${id} was not found. Poll the URL of the Azure-AsyncOperation header exactly as it was given, query included.`,
  );
}

function retryAfter(operation: Operation, operations: Operations, response: Response): Response {
  return operation.status === 'InProgress'
    ? response.set('Retry-After', String(operations.retryAfterInSeconds))
    : response;
}

function statusBody(operation: Operation): JsonObject {
  return {
    name: byteSwapped(operation.id),
    status: operation.status,
    startTime: operation.startTime.toISOString(),
    ...(operation.endTime === undefined ? {} : { endTime: operation.endTime.toISOString() }),
    ...(operation.failure === undefined ? {} : { error: operation.failure }),
  };
}

/** The service names an operation by its guid with the first three groups byte-swapped (seen in azure-cli's recordings). */
function byteSwapped(guid: string): string {
  const swap = (group: string): string => group.match(/../g)?.reverse().join('') ?? '';
  const [a = '', b = '', c = '', ...rest] = guid.split('-');
  return [swap(a), swap(b), swap(c), ...rest].join('-');
}

function failureOf(error: unknown, code: string): OperationFailure {
  if (error instanceof AzureError) return { code: error.code, message: error.message };
  return { code, message: messageOf(error) };
}

function subscriptionOf(request: Request): string {
  return /^\/subscriptions\/([^/]+)/i.exec(request.path)?.[1] ?? '';
}
