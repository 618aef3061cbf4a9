/** ARM scopes that a right holds on: a subscription, a resource group or a resource, with all that is below it. */
import { jsonBytes } from './text-budget';

/** Everything. */
export const EVERYWHERE = '*';

/**
 * The scopes that travel with a request have at most so many bytes as JSON: they are stored with the operation, whose memo has a limit
 * (domain/operation-memo.ts).
 */
export const MOST_SCOPE_BYTES = 1_200;

/** By whole segments, and without regard to case, as ARM compares ids: `…/rg` does not cover `…/rg2`. */
export function covers(scope: string, id: string): boolean {
  return scope === EVERYWHERE || `${id.toLowerCase()}/`.startsWith(`${scope.toLowerCase()}/`);
}

/** The scopes, without those that another one covers: in lower case, each once. */
export function widest(scopes: readonly string[]): string[] {
  const all = [...new Set(scopes.map((scope) => scope.toLowerCase()))];
  return all.filter((one) => !all.some((other) => other !== one && covers(other, one)));
}

/**
 * As many scopes as fit in `MOST_SCOPE_BYTES`: those of the resource group of a cluster first, then those of its subscription, then the
 * others. What is left out narrows a right, and never widens it.
 */
export function fittingScopes(scopes: readonly string[], cluster: string): string[] {
  const [subscription, group] = [3, 5].map((parts) => cluster.split('/').slice(0, parts).join('/'));
  const distance = (scope: string): number =>
    covers(scope, cluster) || covers(group ?? '', scope) ? 0 : covers(subscription ?? '', scope) ? 1 : 2;
  const ordered = [...scopes].sort(
    (a, b) => distance(a) - distance(b) || a.length - b.length || (a < b ? -1 : a > b ? 1 : 0),
  );
  const fitting: string[] = [];
  for (const scope of ordered) {
    if (jsonBytes([...fitting, scope]) <= MOST_SCOPE_BYTES) fitting.push(scope);
  }
  return fitting;
}
