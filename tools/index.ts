/**
 * Where the pinned programs come from: Temporal, etcd, kube-apiserver, kubectl.
 *
 * A tool is looked for in this order:
 * 1. the path in its variable: KEYTURN_TEMPORAL, KEYTURN_ETCD, KEYTURN_KUBE_APISERVER_1_34, KEYTURN_KUBECTL, …
 * 2. PATH, if that program says a version that will do
 * 3. the cache: KEYTURN_CACHE, else `keyturn` in XDG_CACHE_HOME, ~/.cache or ~/Library/Caches
 * 4. the official download, checksum checked; KEYTURN_TOOLS_MIRROR stands in for https://github.com, and HTTPS_PROXY,
 *    HTTP_PROXY and NO_PROXY are honoured
 * 5. a build from the pinned sources of `tools/modules`, with Go 1.26 or newer
 */
import { locate } from './find-tool';
import { settingsFrom, type FindOptions } from './settings';
import { TOOLS, type ToolName } from './table';

export { ToolUnavailableError, type Attempt } from './report';
export type { FindOptions } from './settings';
export { TOOL_NAMES, type ToolName } from './table';

/**
 * The absolute path of a tool's binary; a first call may download or build it, which takes minutes.
 * @throws ToolUnavailableError naming every place that was tried and what to do; Error for a wrong explicit path
 */
export async function findTool(name: ToolName, options: FindOptions = {}): Promise<string> {
  return locate(name, settingsFrom(TOOLS, options));
}

/**
 * The absolute paths of several tools, one after another: an archive or a build often brings more than one.
 * @throws as `findTool`, at the first tool that cannot be had
 */
export async function ensureTools<Name extends ToolName>(
  names: readonly Name[],
  options: FindOptions = {},
): Promise<Record<Name, string>> {
  const settings = settingsFrom(TOOLS, options);
  const paths: Partial<Record<Name, string>> = {};
  for (const name of names) paths[name] = await locate(name, settings);
  return paths as Record<Name, string>; // Complete: every name was set or the loop threw.
}
