/** The text format of Prometheus, as far as API servers' metrics are read. */
import type { KubeConnection } from './connection';

/** The metrics of the API server that answers: megabytes on a large cluster, so read once for all that is looked for. @throws KubeError */
export async function readMetrics(connection: KubeConnection, signal?: AbortSignal): Promise<string> {
  return await connection.requestText({ method: 'GET', path: '/metrics', accept: 'text/plain', signal });
}

const SAMPLE = /^(\w+)\{([^}]*)\} (\S+)/;
const LABEL = /(\w+)="([^"]*)"/g;

/** One sample that has labels. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string | undefined>>;
  readonly value: number;
}

/** Reads one line; undefined when it is no sample with labels. */
export function parseSample(line: string): Sample | undefined {
  const match = SAMPLE.exec(line);
  if (!match) return undefined;
  const [, name = '', labelText = '', value = ''] = match;
  const labels = Object.fromEntries([...labelText.matchAll(LABEL)].map(([, label = '', text = '']) => [label, text]));
  return { name, labels, value: Number(value) };
}

/** The samples of one metric. The text is searched and not split: it has tens of thousands of lines. */
export function labelledSamples(text: string, metric: string): Sample[] {
  const samples: Sample[] = [];
  const lines = `\n${text}\n`;
  const start = `\n${metric}{`;
  for (let at = lines.indexOf(start); at >= 0; at = lines.indexOf(start, at + 1)) {
    const sample = parseSample(lines.slice(at + 1, lines.indexOf('\n', at + 1)));
    if (sample) samples.push(sample);
  }
  return samples;
}
