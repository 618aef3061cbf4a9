/** Sizes of what is stored as JSON, and texts that are cut to a size. */
import { utf8ToBytes } from '@noble/hashes/utils.js';

/** At the end of a text that was cut. */
const CUT = '…';

/** Bytes of a value as JSON in UTF-8. */
export function jsonBytes(value: unknown): number {
  return utf8ToBytes(JSON.stringify(value)).length;
}

/** A beginning of a text, with a mark at its end, that takes at most so many bytes in JSON; the text itself if it fits. */
export function cutText(text: string, bytes: number): string {
  if (text.length <= bytes && jsonBytes(text) <= bytes) return text;
  let left = bytes - jsonBytes(CUT);
  let end = 0;
  while (end < text.length && (left -= bytesOf(text.charCodeAt(end))) >= 0) end += 1;
  // Not half of a character: that would take more bytes than the whole.
  return `${text.slice(0, end).replace(/[\uD800-\uDBFF]$/, '')}${CUT}`;
}

/** Bytes of a UTF-16 unit in JSON, at most. */
function bytesOf(unit: number): number {
  if (unit < 0x20) return 6;
  if (unit < 0x80) return unit === 0x22 || unit === 0x5c ? 2 : 1;
  // Half of a surrogate pair is two bytes; one without its other half is escaped.
  return unit < 0x800 ? 2 : unit >= 0xd800 && unit <= 0xdfff ? 6 : 3;
}

/** The largest number in a range that fits; the smallest when none does. @param fits true up to some number, false after it */
export function largest(from: number, to: number, fits: (candidate: number) => boolean): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
