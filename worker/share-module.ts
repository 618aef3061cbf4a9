/**
 * A loader of webpack: freezes what a module of ours exports, so that all operations can share the module.
 *
 * Temporal's SDK freezes a shared module with everything in it, and does not look into what is frozen already. The schemas of zod in our
 * modules must not be frozen: a schema makes its methods when they are first used, and keeps them (zod freezes its own exports likewise).
 */
export = function shareModule(source: string): string {
  return `${source}\nObject.freeze(exports);\n`;
};
