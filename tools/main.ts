/** `node dist/tools/main.js [names...]`: fetches the tools and shows where they are. */
import { Argument, Command } from 'commander';
import { versionOf } from './program';
import { TOOLS, TOOL_NAMES, type ToolName } from './table';
import { ensureTools } from './index';

const VARIABLES = `
Environment:
${TOOL_NAMES.map((name) => `  ${TOOLS[name].variable.padEnd(30)}path of ${name}, used as it is`).join('\n')}
  KEYTURN_CACHE                 folder to cache in (default: keyturn in the user's cache folder)
  KEYTURN_TOOLS_MIRROR          URL that stands in for https://github.com
  HTTPS_PROXY, NO_PROXY         the proxy for downloads, and for what not to use it`;

async function main(): Promise<void> {
  const program = new Command('tools')
    .description('Finds, downloads or builds the programs that the sandbox runs, and prints where they are.')
    .addArgument(new Argument('[names...]', 'which tools (default: all)').choices(TOOL_NAMES))
    .addHelpText('after', VARIABLES)
    .parse();
  const chosen = TOOL_NAMES.filter((name) => program.args.length === 0 || program.args.includes(name));
  const paths = await ensureTools(chosen);
  const rows = await Promise.all(
    chosen.map(async (name) => [name, await shownVersion(name, paths[name]), paths[name]]),
  );
  process.stdout.write(table([['NAME', 'VERSION', 'PATH'], ...rows]));
}

async function shownVersion(name: ToolName, path: string): Promise<string> {
  return (await versionOf(TOOLS[name], path, process.env)).version ?? 'unknown';
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}\n`).join('');
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
