/** The Secrets that the sample cluster is filled with: several namespaces, some immutable, some large. */
export const DEMO_SECRETS = {
  namespaces: ['payments', 'shop', 'reports', 'default'],
  immutableEvery: 10,
  largeEvery: 50,
  largeSizeInBytes: 100 * 1024,
} as const;

/** How many there are. */
export const DEMO_SECRET_COUNT = 500;
