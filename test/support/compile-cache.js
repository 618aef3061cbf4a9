/**
 * Loaded into every process of Node.js that a test run starts (`--require`, by NODE_OPTIONS): keeps what V8 made of the packages in
 * node_modules, so that the next process of the same kind need not compile them again. Node.js 22 can do that by itself.
 *
 * Needs: KEYTURN_TEST_COMPILE_CACHE, a folder of the test run's own: no file of node_modules changes while a test run lasts.
 * Does: compiles the CommonJS files of packages as Node.js does, with the code kept by an earlier process of the same main script.
 *       The first process of a kind keeps its code when it has loaded everything, and a worker thread does so on its own.
 * Never does: touch Keyturn's own code, which keeps its source maps, or fail: what it cannot keep is compiled as ever.
 * Why: a crash of a worker costs the start of another one, of which half is the compilation of packages and of their source maps.
 */
const { existsSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { createHash } = require('node:crypto');
const Module = require('node:module');
const path = require('node:path');
const vm = require('node:vm');
const { deserialize, serialize } = require('node:v8');
const { isMainThread, threadId } = require('node:worker_threads');

const FOLDER = process.env.KEYTURN_TEST_COMPILE_CACHE;
/** Everything is loaded by then; on a busy machine what is loaded later is compiled by each process. */
const KEPT_AFTER_IN_MS = 4_000;
const PACKAGES = `${path.sep}node_modules${path.sep}`;

function install() {
  // V8 takes no code that it made with other flags.
  const kind = [process.argv[1], isMainThread, ...process.execArgv].join(' ');
  const file = path.join(FOLDER, `${createHash('sha256').update(kind).digest('hex').slice(0, 16)}.cache`);
  const kept = existsSync(file) ? deserialize(readFileSync(file)) : undefined;
  const compiled = new Map();

  const compile = Module.prototype._compile;
  Module.prototype._compile = function (content, filename, format) {
    if (!filename.includes(PACKAGES) || (format !== undefined && format !== 'commonjs') || content.startsWith('#!'))
      return compile.call(this, content, filename, format);
    let script;
    try {
      script = new vm.Script(Module.wrap(content), {
        filename,
        cachedData: kept?.get(filename),
        importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
      });
    } catch {
      // An ES module, or a fault that Node.js itself describes better.
      return compile.call(this, content, filename, format);
    }
    if (kept === undefined) compiled.set(filename, script);
    const run = script.runInThisContext();
    return run.call(this.exports, this.exports, requireOf(this), this, filename, path.dirname(filename));
  };
  if (kept === undefined) setTimeout(() => keep(file, compiled), KEPT_AFTER_IN_MS).unref();
}

/** As Node.js makes it, which it does not export. */
function requireOf(module) {
  const require = (id) => module.require(id);
  require.resolve = (request, options) => Module._resolveFilename(request, module, false, options);
  require.resolve.paths = (request) => Module._resolveLookupPaths(request, module);
  require.main = process.mainModule;
  require.extensions = Module._extensions;
  require.cache = Module._cache;
  return require;
}

/** With the functions that ran: those are the ones that the next process needs, too. */
function keep(file, compiled) {
  if (existsSync(file)) return;
  const code = new Map([...compiled].map(([filename, script]) => [filename, script.createCachedData()]));
  const own = `${file}.${process.pid}.${threadId}`;
  writeFileSync(own, serialize(code));
  renameSync(own, file);
}

if (FOLDER !== undefined) install();
