/** Ends a `switch` over a union: the compiler refuses a forgotten member, and unchecked data fails loudly at run time. */
export function assertNever(value: never): never {
  throw new Error(`Unexpected value: ${JSON.stringify(value)}`);
}
