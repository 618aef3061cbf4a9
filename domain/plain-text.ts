/**
 * Text of people and programs that others read: in the Temporal UI, in terminals, logs and evidence.
 *
 * Why: a control character, a change of the writing direction or half of a surrogate pair shows one text and means another, and a
 * terminal obeys an escape sequence.
 */
import { z } from 'zod';

/** As JSON Schema has it, where a pattern is read with the flag `u`: half of a surrogate pair is a character of its own there. */
const NONE = '\\u0000-\\u001F\\u007F-\\u009F\\u061C\\u200E\\u200F\\u2028-\\u202E\\u2066-\\u2069\\uD800-\\uDFFF\\uFEFF';
const PLAIN = `[^${NONE}]`;
const ONE_LINE = `^${PLAIN}*$`;
/** What people type, before it is made one line. */
const LINES = `^(?:[\\t\\n\\r]|${PLAIN})*$`;
const plain = new RegExp(ONE_LINE, 'u');
const NOT_PLAIN = new RegExp(`[${NONE}]`, 'gu');

/** Whether a text is one line without control characters, marks of the writing direction and halves of surrogate pairs. */
export function isPlainText(text: string): boolean {
  return plain.test(text);
}

/** A text that came past the API, as plain text: each character that would not be plain is a space. */
export function madePlain(text: string): string {
  return text.replaceAll(NOT_PLAIN, ' ');
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
 * @param least characters; 1 when absent
 */
export function personsText(
  most: number,
  facts: { readonly description: string },
  { least = 1 }: { readonly least?: number } = {},
): z.ZodType<string, string> {
  return z
    .string()
    .overwrite((text) => text.replaceAll(/[\t\n\r ]+/g, ' ').trim())
    .min(least)
    .max(most)
    .refine(isPlainText, {
      error: 'Expected text without control characters, marks of the writing direction, and halves of surrogate pairs.',
    })
    .meta({ pattern: LINES, ...facts });
}
