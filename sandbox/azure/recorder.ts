/**
 * Writes the journal, and makes answers get lost.
 *
 * Needs: the journal, the fault `lost-response`.
 * Does: at the moment when the service has decided on its answer, notes it, and then lets it go or destroys the connection.
 * Never does: change the answer.
 */
import type { RequestHandler, Response } from 'express';
import type { Faults } from './faults';
import { isMutating, type Journal } from './journal';

/** Must be the first handler, so that it sees every answer. */
export function recorder(journal: Journal, faults: Faults): RequestHandler {
  return (request, response, next) => {
    const { method, hostname: host } = request;
    const path = request.path;
    if (!isMutating(method, path)) {
      next();
      return;
    }
    const time = new Date().toISOString();
    const end = response.end.bind(response) as (...args: unknown[]) => Response;
    const endAndRecord = (...args: unknown[]): Response => {
      const accepted = response.statusCode < 400;
      const lost = accepted && faults.takeForRequest('lost-response', method, `${host}${path}`);
      journal.add({
        time,
        method,
        host,
        path,
        status: response.statusCode,
        answered: !lost && !request.socket.destroyed,
        kms: accepted && response.locals['kms'] === true,
      });
      if (!lost) return end(...args);
      request.socket.destroy();
      return response;
    };
    response.end = endAndRecord as Response['end'];
    next();
  };
}
