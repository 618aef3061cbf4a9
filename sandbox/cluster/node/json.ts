/** JSON of unknown shape. */

/** A JSON object whose properties are not known. */
export type JsonObject = Record<string, unknown>;

/** Whether a value is an object and neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How Go's error texts show JSON: two spaces for each level, or the text as it is when it is no JSON. */
export function indented(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
