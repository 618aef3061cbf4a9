/** ARM scopes. */

/** The id of a role as it is seen from a scope: in a subscription, the role is below it. */
export function roleDefinitionId(scope: string, guid: string): string {
  const subscription = /^\/subscriptions\/[^/]+/i.exec(scope)?.[0] ?? '';
  return `${subscription}/providers/Microsoft.Authorization/roleDefinitions/${guid}`;
}

/** Whether a scope covers a resource: it covers itself and everything below it. Ids compare in any case. */
export function covers(scope: string, resourceId: string): boolean {
  return `${resourceId.toLowerCase()}/`.startsWith(`${scope.toLowerCase()}/`);
}
