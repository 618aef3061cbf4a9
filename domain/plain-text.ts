/**
 * Text of people and programs that others read: in the Temporal UI, in terminals, logs and evidence.
 *
 * Why: a control character, a change of the writing direction or half of a surrogate pair shows one text and means another, and a
 * terminal obeys an escape sequence.
 */
import { z } from 'zod';

/**
 * What a plain text has none of, for the inside of a character class in the API document. Halves of surrogate pairs are left out: no UTF-8
 * has them, and readers of patterns that are not written in JavaScript refuse the whole pattern for them.
 */
export const NOT_PLAIN = '\\u0000-\\u001F\\u007F-\\u009F\\u061C\\u200E\\u200F\\u2028-\\u202E\\u2066-\\u2069\\uFEFF';
const PLAIN = `[^${NOT_PLAIN}]`;
const VISIBLE = `[^\\s${NOT_PLAIN}]`;
/** One that is not only white space: that goes, at both ends. */
const ONE_LINE = `^${PLAIN}*${VISIBLE}${PLAIN}*$`;
/** What people type, before it is made one line. */
const TYPED = `(?:[\\t\\n\\r]|${PLAIN})*`;
/** JSON can escape half of a pair. With the flag `u` it is a character of its own. */
const NONE = `${NOT_PLAIN}\\uD800-\\uDFFF`;
const plain = new RegExp(`^[^${NONE}]*$`, 'u');
const notPlain = new RegExp(`[${NONE}]`, 'gu');

/** Whether a text is one line without control characters, marks of the writing direction and halves of surrogate pairs. */
export function isPlainText(text: string): boolean {
  return plain.test(text);
}

/** A text that came past the API, as plain text: each character that would not be plain is a space. */
export function madePlain(text: string): string {
  return text.replaceAll(notPlain, ' ');
}

/** One line of text, without white space around it. */
export function plainText(
  most: number,
  facts: { readonly description: string; readonly example?: string },
): z.ZodType<string, string> {
  return z
    .string()
    .trim()
    .min(1)
    .max(most)
    .refine(isPlainText, {
      error:
        'Expected one line of text, without control characters, marks of the writing direction, and halves of surrogate pairs.',
    })
    .meta({ pattern: ONE_LINE, ...facts });
}

/**
 * What a person says of a decision: a comment, a reason. Line breaks and tabs become spaces, so that it is one line where it is shown:
 * a second line could look like a line of Keyturn.
 * @param options.least 0 when it may be empty; 1 when absent
 */
export function personsText(
  most: number,
  facts: { readonly description: string },
  { least = 1 }: { readonly least?: 0 | 1 } = {},
): z.ZodType<string, string> {
  return z
    .string()
    .overwrite((text) => text.replaceAll(/[\t\n\r ]+/g, ' ').trim())
    .min(least)
    .max(most)
    .refine(isPlainText, {
      error: 'Expected text without control characters, marks of the writing direction, and halves of surrogate pairs.',
    })
    .meta({ pattern: least === 0 ? `^${TYPED}$` : `^${TYPED}${VISIBLE}${TYPED}$`, ...facts });
}
