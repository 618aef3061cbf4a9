/** ARM scopes. */

/** Whether a scope covers a resource: it covers itself and everything below it. Ids compare in any case. */
export function covers(scope: string, resourceId: string): boolean {
  return `${resourceId.toLowerCase()}/`.startsWith(`${scope.toLowerCase()}/`);
}
