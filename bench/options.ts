/** What `npm run bench:rewrite` can be told on its command line. */
import { Command, InvalidArgumentError } from 'commander';

/** What is to be measured. */
export interface BenchOptions {
  readonly secrets: number;
  /** Of the large value of each Secret, in bytes. */
  readonly size: number;
  /** Runs of Keyturn and of the load generator, which has one more before the first; kubectl: see `kubectlRunsIn`. */
  readonly rounds: number;
  readonly json: boolean;
  readonly otherClients: boolean;
  /** Keyturn's patches under way at the same time, at most; the product's default when absent. */
  readonly inFlight?: number;
  /** KEYTURN_REWRITE_LATENCY_LIMIT of the worker; the product's default when absent. */
  readonly latencyLimit?: string;
  /** Connections and workers of the load generator. */
  readonly generatorWorkers: number;
}

/** More would not be a Secret any more: an API server takes 1 MiB of data, and there is a password beside it. */
const LARGEST_SIZE_IN_BYTES = 1_000_000;
const MOST_SECRETS = 1_000_000;
const MOST_WORKERS = 1_024;
const MOST_ROUNDS = 20;
/** docs/benchmarks.md: rates differ by a tenth and more from run to run; one run of much data is long enough by itself. */
const ROUNDS = 5;
const ROUNDS_OF_MUCH = 1;
const MANY_SECRETS = 20_000;
const BYTES_IN_MIB = 1024 ** 2;
const MUCH_DATA_IN_MIB = 50;
/** docs/benchmarks.md: its best rate on two cores. */
const GENERATOR_WORKERS = 64;
/** The service takes so many. */
const MOST_IN_FLIGHT = 256;
/** The load generator has no guard for other clients either. */
const NO_LIMIT = 'off';

/**
 * Reads a command line; a bad one, and `--help`, end the process with one message.
 * @param argv as `process.argv`
 */
export function readOptions(argv: readonly string[], command: Command = new Command()): BenchOptions {
  command
    .name('npm run bench:rewrite --')
    .description(
      'Measures how fast Secrets are stored anew after a key was turned, on a real kube-apiserver and etcd: by Keyturn ' +
        '(rewrite and proof), by `kubectl get | kubectl replace`, and by a load generator that sends the patches of Keyturn.',
    )
    .option('--secrets <number>', 'how many Secrets', wholeNumber(1, MOST_SECRETS), 1_000)
    .option('--size <bytes>', 'size of the value in each Secret', wholeNumber(1, LARGEST_SIZE_IN_BYTES), 1_024)
    .option(
      '--rounds <number>',
      `runs of Keyturn and the load generator; kubectl has one in every second round. Default: ${ROUNDS}; ${ROUNDS_OF_MUCH} with ` +
        `${MANY_SECRETS} Secrets or ${MUCH_DATA_IN_MIB} MiB of values or more, or with --other-clients`,
      wholeNumber(1, MOST_ROUNDS),
    )
    .option('--json', 'print the outcome as one JSON object on the last line')
    .option(
      '--other-clients',
      'measure also what another client sees meanwhile; Keyturn then runs with its default latency limit, since that is what protects others',
    )
    .option(
      '--latency-limit <times>',
      `Keyturn slows down when the API server answers so many times slower than idle; "off" never. Default: ${NO_LIMIT}, with --other-clients the service's own`,
      latencyLimit,
    )
    .option(
      '--in-flight <number>',
      "Keyturn's patches under way; default: the service's",
      wholeNumber(1, MOST_IN_FLIGHT),
    )
    .option(
      '--generator-workers <number>',
      'connections of the load generator',
      wholeNumber(1, MOST_WORKERS),
      GENERATOR_WORKERS,
    )
    .parse(argv);
  const given = command.opts<Partial<BenchOptions> & Pick<BenchOptions, 'secrets' | 'size' | 'generatorWorkers'>>();
  const otherClients = given.otherClients ?? false;
  return {
    ...given,
    rounds: given.rounds ?? (otherClients || isMuch(given) ? ROUNDS_OF_MUCH : ROUNDS),
    json: given.json ?? false,
    otherClients,
    latencyLimit: given.latencyLimit ?? (otherClients ? undefined : NO_LIMIT),
  };
}

/** Whether kubectl runs in a round: it takes longer than the others together, so every second round has to do. */
export function kubectlRunsIn(round: number, rounds: number): boolean {
  return rounds === 1 || round % 2 === 0;
}

function isMuch({ secrets, size }: Pick<BenchOptions, 'secrets' | 'size'>): boolean {
  return secrets >= MANY_SECRETS || secrets * size >= MUCH_DATA_IN_MIB * BYTES_IN_MIB;
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

function latencyLimit(text: string): string {
  if (text === NO_LIMIT || (/^\d+(\.\d+)?$/.test(text) && Number(text) >= 1)) return text;
  throw new InvalidArgumentError(`It must be "${NO_LIMIT}" or a number of at least 1.`);
}
