/** Names in a sentence, as many as it has room for. */

const MOST = 5;

/** @returns `a, b, c, d, e and 2 more` */
export function listed(names: readonly string[]): string {
  const more = names.length > MOST ? ` and ${names.length - MOST} more` : '';
  return `${names.slice(0, MOST).join(', ')}${more}`;
}
