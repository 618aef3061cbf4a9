/** Runs one of the offline programs of this folder as part of `keyturn`: its output and its exit code are those of the command. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { ExitCode } from '../exit-codes';
import type { Output } from '../output/output';

/** Whether this installation has a program. @param name such as `verify-audit` */
export function hasProgram(name: string): boolean {
  return existsSync(fileOf(name));
}

/** Runs a program to its end and passes on what it says. With JSON its lines are in `report`. */
export function runProgram(name: string, args: readonly string[], output: Output): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileOf(name), ...args], { encoding: 'utf8' });
  const valid = status === 0;
  if (output.format === 'json') {
    const report = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
    output.answer({ valid, report }, () => '');
  } else {
    output.out.write(stdout);
    output.err.write(stderr);
  }
  process.exitCode = valid ? ExitCode.Ok : status === ExitCode.Usage ? ExitCode.Usage : ExitCode.Refused;
}

/** Compiled, all programs are neighbours in `dist/cli`. */
function fileOf(name: string): string {
  return path.join(__dirname, '..', `${name}.js`);
}
