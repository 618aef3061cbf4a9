/** Completion scripts for bash and zsh, made from the tree of commands: what the program takes is what is completed. */
import type { Command, Option } from 'commander';

/** The shells. */
export const SHELLS = ['bash', 'zsh'] as const;
/** One of them. */
export type Shell = (typeof SHELLS)[number];

/** zsh's own completion, which a plain zsh has not started, and on top of it that for functions of bash. */
const ZSH_SYSTEM =
  '(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\nautoload -U +X bashcompinit && bashcompinit';

/** What can follow a command. */
interface Node {
  /** The words that lead to it: `cluster inspect`. */
  readonly path: string;
  readonly words: readonly string[];
  /** The choices that an option takes, by its flag. */
  readonly choices: readonly { readonly flags: readonly string[]; readonly words: readonly string[] }[];
}

/** The script for a shell. */
export function completionScript(shell: Shell, program: Command): string {
  const nodes = nodesOf(program, '', program.options);
  const body = functionBody(nodes);
  const bash = `_keyturn() {\n${body}\n}\n`;
  return shell === 'bash'
    ? `# bash completion for keyturn: eval "$(keyturn completion bash)"\n${bash}complete -o default -F _keyturn keyturn\n`
    : `#compdef keyturn\n# zsh completion for keyturn: eval "$(keyturn completion zsh)"\n${ZSH_SYSTEM}\n${bash}complete -o default -F _keyturn keyturn\n`;
}

function nodesOf(command: Command, path: string, global: readonly Option[]): Node[] {
  const options = [...new Set([...command.options, ...global])].filter(({ hidden }) => !hidden);
  const flags = options.flatMap(flagsOf);
  const choices = options
    .filter(({ argChoices }) => argChoices !== undefined)
    .map((option) => ({ flags: flagsOf(option), words: option.argChoices ?? [] }));
  const subcommands = command.commands.filter((one) => one.name() !== 'help');
  const words = [
    ...subcommands.map((one) => one.name()),
    ...command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    ...flags,
    '--help',
  ];
  return [
    { path, words, choices },
    ...subcommands.flatMap((one) => nodesOf(one, path === '' ? one.name() : `${path} ${one.name()}`, global)),
  ];
}

function flagsOf({ short, long }: Option): string[] {
  return [short, long].filter((flag): flag is string => flag !== undefined);
}

/** Finds the command in the words so far, then offers what can follow. Words are our own: none needs quoting. */
function functionBody(nodes: readonly Node[]): string {
  const paths = nodes.map(({ path }) => path).filter((path) => path !== '');
  const cases = nodes.flatMap(({ path, words, choices }) => [
    ...choices.map(
      (one) => one.flags.map((flag) => `"${path}|${flag}"`).join('|') + `) words="${one.words.join(' ')}" ;;`,
    ),
    `"${path}|"*) words="${words.join(' ')}" ;;`,
  ]);
  return `  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" path="" words="" word try i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    try="\${path:+$path }$word"
    case "|${paths.join('|')}|" in *"|$try|"*) path="$try" ;; esac
  done
  case "$path|$prev" in
${cases.map((line) => `    ${line}`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))`;
}
