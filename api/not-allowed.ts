/** 405: a path of the route table, with a method that it does not have. Needs no token: the API document is public, and says the same. */
import type { RequestHandler } from 'express';
import { ApiError } from './problem';
import type { Route } from './route';

/**
 * The routes of each path. `/v1/operations/{id}:approve` comes before `/v1/operations/{id}`, which would take `op-1:approve` for an id
 * and answer for its methods.
 */
export function byPath(routes: readonly Route[]): { readonly path: string; readonly routes: readonly Route[] }[] {
  const paths = [...new Set(routes.map(({ path }) => path))];
  const hasVerb = (path: string): number => Number(/:\w+$/.test(path));
  return paths
    .sort((one, other) => hasVerb(other) - hasVerb(one))
    .map((path) => ({ path, routes: routes.filter((route) => route.path === path) }));
}

/** Comes after the routes of a path. */
export function notAllowed(routes: readonly Route[]): RequestHandler {
  // Express answers HEAD where there is a GET.
  const methods = routes.flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
  const allow = [...new Set(methods)].sort().join(', ');
  return (request) => {
    throw new ApiError(
      {
        code: 'MethodNotAllowed',
        detail: `${request.path.slice(0, 200)} does not have ${request.method}. It has ${allow}. The API is described at /docs.`,
      },
      { headers: { Allow: allow } },
    );
  };
}
