/** Raw JSON, kept as it was sent: resource bodies hold more properties than the sandbox knows. */
import type { z } from 'zod';

/** A JSON object whose properties are not known. */
export type JsonObject = Record<string, unknown>;

/** Whether a value is an object and neither null nor an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at a path of property names, or an empty object when anything on the way is missing. */
export function objectAt(value: unknown, ...path: readonly string[]): JsonObject {
  let here: unknown = value;
  for (const name of path) here = isJsonObject(here) ? here[name] : undefined;
  return isJsonObject(here) ? here : {};
}

/** A deep copy that shares nothing with the original. */
export function copyOf<T>(value: T): T {
  return structuredClone(value);
}

/** JSON Merge Patch (RFC 7396), which is what ARM's PATCH does: objects merge, null removes, the rest replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const merged: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete merged[name];
    else merged[name] = mergePatch(merged[name], value);
  }
  return merged;
}

/** What zod found wrong, as one line: `properties.tenantId: expected string`. */
export function describeIssues(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`).join('; ');
}
