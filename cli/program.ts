/** The commands of `keyturn` as one tree. `keyturn.ts` runs it. */
import { Argument, Command, Option } from 'commander';
import { acceptCommand } from './commands/accept';
import { auditCommand } from './commands/audit';
import { clusterCommand } from './commands/cluster';
import { approveCommand, denyCommand } from './commands/decide';
import { doctorCommand } from './commands/doctor';
import { evidenceCommand } from './commands/evidence';
import { keyCommand } from './commands/key';
import { listCommand } from './commands/list';
import { loginCommand, logoutCommand } from './commands/login';
import { planCommand } from './commands/plan';
import { runCommand } from './commands/run';
import { showCommand } from './commands/show';
import { steeringCommands } from './commands/steer';
import { watchCommand } from './commands/watch';
import { completionScript, SHELLS, type Shell } from './completion';
import { DEFAULT_URL } from './context';
import { FORMATS } from './output/output';
import { ownVersion } from './version';

const HELP = `
A rotation, from the request to the proof:
  keyturn plan rotate-key --cluster ID --change CHG0030192     see what would be done
  keyturn run rotate-key --cluster ID --change CHG0030192      ask for it
  keyturn approve OPERATION                                    another person approves the plan
  keyturn watch OPERATION                                      follow it to its end
  keyturn evidence verify OPERATION                            check the signed evidence

Environment: KEYTURN_URL, KEYTURN_TOKEN, KEYTURN_LOGIN_*, HTTPS_PROXY, NO_PROXY, NO_COLOR.
Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not found, 4 not authorized, 5 not available,
            6 waits for people, 7 timeout. See docs/cli.md.`;

/** Makes the program. */
export function createProgram(): Command {
  const program = new Command('keyturn')
    .description('Rotates the KMS keys under AKS clusters, through the API of Keyturn.')
    .version(ownVersion(), '-V, --version', 'write the version')
    .option('--url <url>', `the API (KEYTURN_URL); default ${DEFAULT_URL}`)
    .addOption(new Option('-o, --output <format>', 'how to write the answer').choices([...FORMATS]).default('table'))
    .addHelpText('after', HELP)
    .showHelpAfterError('Add --help for help.');
  const audit = auditCommand();
  const commands = [
    planCommand(),
    runCommand(),
    watchCommand(),
    approveCommand(),
    denyCommand(),
    acceptCommand(),
    listCommand(),
    showCommand(),
    ...steeringCommands(),
    clusterCommand(),
    keyCommand(),
    evidenceCommand(),
    ...(audit === undefined ? [] : [audit]),
    loginCommand(),
    logoutCommand(),
    doctorCommand(),
  ];
  for (const command of commands) program.addCommand(command.copyInheritedSettings(program));
  program
    .command('completion')
    .description('Writes a completion script.')
    .addArgument(new Argument('<shell>', 'for which shell').choices([...SHELLS]))
    .addHelpText('after', '\nExample:\n  eval "$(keyturn completion bash)"')
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell, program));
    });
  return program;
}
