/** Errors whose whole message Keyturn wrote itself. */

/**
 * A failure in our own words. Its message names things and quotes no text of another program, so it may be stored and shown;
 * the message of any other unexpected error may not, since libraries quote what they read (S1).
 */
export class OwnError extends Error {
  override readonly name = 'OwnError';
}
