/** What a run found: the JSON that other programs read, and the table that people read. Pure. */

/** What was measured, in seconds and events, not rounded. */
export interface Measurements {
  readonly secrets: number;
  /** Bytes of the value in each Secret. */
  readonly size: number;
  /** Each run of Keyturn. */
  readonly keyturn: readonly KeyturnMeasurements[];
  /** Each run of kubectl, in seconds. */
  readonly kubectlSeconds: readonly number[];
  /** Patches per second of each run of the load generator: one before the first of Keyturn, and one after each. */
  readonly generatorRates: readonly number[];
  /** What the API servers counted of requests about Secrets in a whole operation whose current key was proven. */
  readonly requests: number;
  readonly otherClients?: OtherClientLatency;
}

/** One run of Keyturn. */
export interface KeyturnMeasurements {
  readonly seconds: number;
  readonly peakRssInBytes: number;
  readonly bytesReceived: number;
  readonly historyEvents: number;
}

/** What another client saw, in milliseconds. */
export interface OtherClientLatency {
  readonly idle: Percentiles;
  readonly during: Percentiles;
}

/** Two percentiles of a number of measurements. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}

/** What `--json` prints; the members are fixed, other programs read them. */
export interface Outcome {
  readonly secrets: number;
  readonly size: number;
  readonly keyturn: {
    readonly seconds: number;
    readonly perSecond: number;
    readonly peakRssMb: number;
    readonly bytesReceivedPerSecret: number;
  };
  readonly kubectl: { readonly seconds: number; readonly perSecond: number };
  readonly generator: { readonly perSecond: number };
  /** The median of all pairs: a run of Keyturn and the load generator's runs right before and after it. */
  readonly ratioToGenerator: number;
  readonly speedupOverKubectl: number;
  /** Of a whole operation, fixed costs included: census, rewrite and proof. */
  readonly requestsPerSecret: number;
  readonly historyEvents: number;
  readonly otherClients?: { readonly idleP99Ms: number; readonly duringP99Ms: number; readonly ratio: number };
}

/** What `ratioToGenerator` of five rounds has to reach. kubectl has no bound: it is reported. */
export const LEAST_RATIO = 0.9;

const BYTES_IN_MB = 1024 * 1024;

/**
 * The outcome: means of the times of all runs, the median of all pairs with the load generator, and the most of everything else.
 * Ratios are of the exact measurements, and everything is rounded at the end.
 */
export function outcomeOf({
  secrets,
  size,
  keyturn,
  kubectlSeconds,
  generatorRates,
  requests,
  otherClients,
}: Measurements): Outcome {
  const seconds = mean(keyturn.map((run) => run.seconds));
  const most = (of: (run: KeyturnMeasurements) => number): number => Math.max(...keyturn.map(of));
  const keyturnRate = secrets / seconds;
  const kubectlTime = mean(kubectlSeconds);
  const kubectlRate = secrets / kubectlTime;
  const generatorRate = secrets / mean(generatorRates.map((rate) => secrets / rate));
  return {
    secrets,
    size,
    keyturn: {
      seconds: rounded(seconds, 2),
      perSecond: rounded(keyturnRate, 1),
      peakRssMb: rounded(most(({ peakRssInBytes }) => peakRssInBytes) / BYTES_IN_MB, 1),
      bytesReceivedPerSecret: rounded(most(({ bytesReceived }) => bytesReceived) / secrets, 0),
    },
    kubectl: { seconds: rounded(kubectlTime, 2), perSecond: rounded(kubectlRate, 1) },
    generator: { perSecond: rounded(generatorRate, 1) },
    ratioToGenerator: rounded(median(pairRatios(secrets, keyturn, generatorRates)), 3),
    speedupOverKubectl: rounded(keyturnRate / kubectlRate, 2),
    requestsPerSecret: rounded(requests / secrets, 3),
    historyEvents: most(({ historyEvents }) => historyEvents),
    ...(otherClients
      ? {
          otherClients: {
            idleP99Ms: rounded(otherClients.idle.p99, 1),
            duringP99Ms: rounded(otherClients.during.p99, 1),
            ratio: rounded(otherClients.during.p99 / otherClients.idle.p99, 2),
          },
        }
      : {}),
  };
}

/** The same for people, one line each. */
export function tableOf(outcome: Outcome, measured: Measurements): string[] {
  const { keyturn, kubectl, generator } = outcome;
  const { kubectlSeconds, generatorRates, otherClients } = measured;
  const runs = (rates: readonly number[]): string => `(runs: ${rates.map((rate) => rounded(rate, 1)).join(', ')})`;
  const rows = [
    ['', 'seconds', 'Secrets/s', ''],
    [
      'Keyturn, proof included',
      String(keyturn.seconds),
      String(keyturn.perSecond),
      runs(measured.keyturn.map(({ seconds }) => outcome.secrets / seconds)),
    ],
    [
      'kubectl get | kubectl replace',
      String(kubectl.seconds),
      String(kubectl.perSecond),
      `Keyturn is ${outcome.speedupOverKubectl} times as fast ${runs(kubectlSeconds.map((seconds) => outcome.secrets / seconds))}`,
    ],
    [
      'load generator, patches alone',
      String(rounded(outcome.secrets / generator.perSecond, 2)),
      String(generator.perSecond),
      `Keyturn reaches ${percent(outcome.ratioToGenerator)} of it, by the median of all pairs ${runs(generatorRates)}`,
    ],
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  return [
    ...lines,
    '',
    `Pairs: ${pairRatios(outcome.secrets, measured.keyturn, generatorRates).map(percent).join(', ')}; the bound for the median of five is ${percent(LEAST_RATIO)}`,
    `Requests about Secrets of a whole operation: ${outcome.requestsPerSecret} per Secret`,
    `Keyturn's worker: ${keyturn.peakRssMb} MB at most; ${keyturn.bytesReceivedPerSecret} bytes received per Secret; ${outcome.historyEvents} events in the operation's history`,
    ...(otherClients
      ? [
          `Another client, idle:    p50 ${rounded(otherClients.idle.p50, 1)} ms, p99 ${rounded(otherClients.idle.p99, 1)} ms (${otherClients.idle.count} requests)`,
          `               meanwhile: p50 ${rounded(otherClients.during.p50, 1)} ms, p99 ${rounded(otherClients.during.p99, 1)} ms (${otherClients.during.count} requests): ${outcome.otherClients?.ratio} times at p99`,
        ]
      : []),
  ];
}

/** Of each run of Keyturn, its rate to that of the load generator's runs right before and after it: the machine varies slowly. */
function pairRatios(
  secrets: number,
  keyturn: readonly KeyturnMeasurements[],
  generatorRates: readonly number[],
): number[] {
  return keyturn.map(({ seconds }, index) => {
    const around = generatorRates.slice(index, index + 2).map((rate) => secrets / rate);
    return mean(around) / seconds;
  });
}

/**
 * The 50th and the 99th percentile, by nearest rank: always a value that was measured.
 * @throws Error when nothing was measured
 */
export function percentilesOf(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.ceil(share * sorted.length) - 1];
    if (value === undefined) throw new Error('Nothing was measured: the interval was too short for a single request.');
    return value;
  };
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return mean(sorted.slice(Math.ceil(middle - 1), Math.floor(middle + 1)));
}

function percent(ratio: number): string {
  return `${rounded(ratio * 100, 1)} %`;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
