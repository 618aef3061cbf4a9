/** How files of the store are named by what they hold. */
import { createHash } from 'node:crypto';

/** `sha256:` and the hexadecimal SHA-256 of bytes. */
export function digestOfBytes(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
