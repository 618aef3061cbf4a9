/** Words of another system, as a sentence that may be shown. */
import { isPlainText } from '../../domain/plain-text';

const MOST_CHARACTERS = 300;

/** At most 300 characters of plain text, with a full stop at its end; the other words when there is no such text. */
export function said(words: string | undefined, otherwise: string): string {
  const text = words?.trim().slice(0, MOST_CHARACTERS) ?? '';
  const shown = text !== '' && isPlainText(text) ? text : otherwise;
  return /[.!?]$/.test(shown) ? shown : `${shown}.`;
}
