/** An operation as the API answers it: the operation, the text of its progress, and links to what can follow. */
import type { Request } from 'express';
import { z } from 'zod';
import { isFinal, Operation } from '../domain/operation';
import { renderProgress } from '../domain/progress';

/** Seconds after which a client should read a running operation again. */
const POLL_AFTER_IN_SECONDS = 2;
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]{0,253})|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

const url = (description: string): z.ZodString => z.string().meta({ description });

/** The links of an operation. All URLs are absolute. */
export const OperationLinks = z.object({
  self: url('This operation.'),
  approve: url('POST: approve the plan.'),
  deny: url('POST: deny the plan.'),
  cancel: url('POST: stop at the next safe point.'),
  retry: url('POST: retry a blocked step.'),
  pause: url('POST: pause at the next safe point.'),
  resume: url('POST: end a pause.'),
  accept: url('POST: accept the Secrets that a blocked step waits for as they are.'),
  evidence: url('GET: the signed evidence, once `evidence` is not null.'),
  temporalUi: url('The operation in the Temporal UI; absent when the API does not know where that is.').optional(),
});

/** An operation as the API answers it. */
export const OperationView = Operation.omit({ milestones: true })
  .extend({
    progressText: z.string().meta({
      description:
        'Markdown: the progress of the operation, what it waits for, and who can act. The Temporal UI and the command line show the same.',
    }),
    links: OperationLinks,
  })
  .meta({
    id: 'Operation',
    description: 'An operation. Times are ISO 8601 in UTC. Succeeded, Failed and Canceled are final.',
  });
/** An operation as the API answers it. */
export type OperationView = z.infer<typeof OperationView>;

/** What links are made from. */
export interface LinkSettings {
  /** Replaces what the request's Host header says. */
  readonly publicUrl?: string;
  readonly temporalUiUrl?: string;
  readonly namespace: string;
}

/** The view of an operation. */
export function viewOf(operation: Operation, request: Request, settings: LinkSettings): OperationView {
  // Clients get them as events.
  const { milestones: _asEvents, ...shown } = operation;
  return { ...shown, progressText: renderProgress(operation), links: linksOf(operation.id, request, settings) };
}

/** The links of an operation. */
export function linksOf(id: string, request: Request, settings: LinkSettings): OperationView['links'] {
  const self = `${baseUrl(request, settings.publicUrl)}/v1/operations/${id}`;
  const { temporalUiUrl, namespace } = settings;
  return {
    self,
    approve: `${self}:approve`,
    deny: `${self}:deny`,
    cancel: `${self}:cancel`,
    retry: `${self}:retry`,
    pause: `${self}:pause`,
    resume: `${self}:resume`,
    accept: `${self}:accept`,
    evidence: `${self}/evidence`,
    ...(temporalUiUrl === undefined
      ? {}
      : {
          temporalUi: `${temporalUiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(id)}`,
        }),
  };
}

/** `Retry-After` while the operation goes on. */
export function pollHeaders(operation: Operation): Record<string, string> {
  return isFinal(operation.status) ? {} : { 'Retry-After': String(POLL_AFTER_IN_SECONDS) };
}

/** The URL that the client used for the API, without a slash at the end. */
export function baseUrl(request: Request, publicUrl: string | undefined): string {
  if (publicUrl !== undefined) return publicUrl;
  const { host } = request.headers;
  if (host !== undefined && HOST.test(host)) return `${request.protocol}://${host}`;
  const { localAddress = '127.0.0.1', localPort = 80 } = request.socket;
  const address = localAddress.includes(':') ? `[${localAddress}]` : localAddress;
  return `${request.protocol}://${address}:${localPort}`;
}
