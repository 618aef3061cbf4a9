/** Key ids: `https://{vault}.vault.azure.net/keys/{name}/{version}`. */

/** A key id, taken apart. */
export interface ParsedKid {
  readonly host: string;
  readonly name: string;
  /** Absent in a versionless id. */
  readonly version?: string;
}

/** Takes a key id apart; undefined when it is none. */
export function parseKid(kid: string): ParsedKid | undefined {
  const match = /^https:\/\/([^/:]+)(?::443)?\/keys\/([0-9A-Za-z-]+)(?:\/([0-9A-Za-z]+))?\/?$/.exec(kid);
  if (match === null) return undefined;
  const [, host = '', name = '', version] = match;
  return { host: host.toLowerCase(), name, ...(version === undefined ? {} : { version: version.toLowerCase() }) };
}
