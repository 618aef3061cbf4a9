/** Texts of others in Markdown, which the Temporal UI shows: what a person wrote must not become a link, an image or a heading. */

/** Every character that begins markup anywhere in a line; an underscore only where it is not inside a word. */
const MARKUP = /[\\`*[\]<>#|~!&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g;

/** A text of one line as Markdown that shows it as it is (CommonMark 0.31, section 2.4). */
export function inMarkdown(text: string): string {
  return text.replaceAll(MARKUP, (character) => `\\${character}`);
}
