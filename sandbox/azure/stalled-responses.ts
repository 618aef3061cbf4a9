/**
 * Makes answers stall.
 *
 * Needs: the fault `stalled-response`.
 * Does: sends the headers and the first half of the body, and leaves the rest, and the connection, as they are.
 */
import type { RequestHandler, Response } from 'express';
import type { Faults } from './faults';

/** Must come before what answers. */
export function stalledResponses(faults: Faults): RequestHandler {
  return ({ method, path }, response, next) => {
    const end = response.end.bind(response) as (...args: unknown[]) => Response;
    const endOrStall = (...args: unknown[]): Response => {
      const [body] = args;
      const hasBody = (typeof body === 'string' || Buffer.isBuffer(body)) && body.length > 1;
      if (!hasBody || !faults.takeForRequest('stalled-response', method, path)) return end(...args);
      response.write(body.slice(0, body.length / 2));
      return response;
    };
    response.end = endOrStall as Response['end'];
    next();
  };
}
