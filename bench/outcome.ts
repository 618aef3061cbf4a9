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
  readonly ratioToGenerator: number;
  readonly speedupOverKubectl: number;
  readonly historyEvents: number;
  readonly otherClients?: { readonly idleP99Ms: number; readonly duringP99Ms: number; readonly ratio: number };
}

const BYTES_IN_MB = 1024 * 1024;

/**
 * The outcome: means of the times of all runs, and the most of everything else. Ratios are of the exact measurements, and
 * everything is rounded at the end.
 */
export function outcomeOf({
  secrets,
  size,
  keyturn,
  kubectlSeconds,
  generatorRates,
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
    ratioToGenerator: rounded(keyturnRate / generatorRate, 3),
    speedupOverKubectl: rounded(keyturnRate / kubectlRate, 2),
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
      `Keyturn reaches ${rounded(outcome.ratioToGenerator * 100, 1)} % of it ${runs(generatorRates)}`,
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
    `Keyturn's worker: ${keyturn.peakRssMb} MB at most; ${keyturn.bytesReceivedPerSecret} bytes received per Secret; ${outcome.historyEvents} events in the operation's history`,
    ...(otherClients
      ? [
          `Another client, idle:    p50 ${rounded(otherClients.idle.p50, 1)} ms, p99 ${rounded(otherClients.idle.p99, 1)} ms (${otherClients.idle.count} requests)`,
          `               meanwhile: p50 ${rounded(otherClients.during.p50, 1)} ms, p99 ${rounded(otherClients.during.p99, 1)} ms (${otherClients.during.count} requests): ${outcome.otherClients?.ratio} times at p99`,
        ]
      : []),
  ];
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

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
