/**
 * How many requests the API servers of a cluster took about Secrets, by their own metric `apiserver_request_total`.
 *
 * Does: reads each server before it ends, because its counters end with it, and adds up.
 * Never does: guess. When one server could not be read, there is no count.
 */
import { createApiClient, type ApiCredentials } from './api-client';
import { messageOf } from '../message-of';

/** Requests about Secrets by verb, as the metric names verbs: `GET`, `LIST`, `PATCH`, `POST`, `WATCH` … */
export type SecretRequests = Readonly<Record<string, number>>;

const SAMPLE = /^apiserver_request_total\{([^}]*)\} (\S+)$/;
const LABEL = /(\w+)="([^"]*)"/g;

/** Reads the counters out of the text of `/metrics`: all answers count, refusals too. */
export function parseSecretRequests(metrics: string): SecretRequests {
  let counts: SecretRequests = {};
  for (const line of metrics.split('\n')) {
    const [, labelText = '', value = ''] = SAMPLE.exec(line) ?? [];
    const labels = Object.fromEntries([...labelText.matchAll(LABEL)].map(([, name = '', text = '']) => [name, text]));
    const { group, resource, verb } = labels;
    if (group !== '' || resource !== 'secrets' || verb === undefined) continue;
    counts = sum(counts, { [verb]: Number(value) });
  }
  return counts;
}

/** The requests to all API servers that a cluster ever had. */
export class RequestCounts {
  #ended: SecretRequests = {};
  readonly #lost: string[] = [];

  /** Adds a server that is about to end; resolves in any case. */
  async ending(port: number, admin: ApiCredentials): Promise<void> {
    try {
      this.#ended = sum(this.#ended, await readSecretRequests(port, admin));
    } catch (error) {
      this.#lost.push(messageOf(error));
    }
  }

  /** A server has ended, and nobody read it before. */
  endedUnread(name: string): void {
    this.#lost.push(`${name} ended by itself`);
  }

  /**
   * @param ports of the servers that run
   * @throws Error when the count would be too low
   */
  async total(ports: readonly number[], admin: ApiCredentials): Promise<SecretRequests> {
    if (this.#lost.length > 0) {
      throw new Error(`The requests to ${this.#lost.length} API server(s) were not counted: ${this.#lost.join('; ')}.`);
    }
    const live = await Promise.all(ports.map((port) => readSecretRequests(port, admin)));
    return live.reduce(sum, this.#ended);
  }
}

async function readSecretRequests(port: number, admin: ApiCredentials): Promise<SecretRequests> {
  const client = createApiClient(`https://127.0.0.1:${port}`, admin);
  try {
    const { status, body } = await client.call('GET', '/metrics');
    if (status !== 200) throw new Error(`/metrics answered ${status}`);
    return parseSecretRequests(body);
  } finally {
    await client.close();
  }
}

function sum(one: SecretRequests, other: SecretRequests): SecretRequests {
  const verbs = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return Object.fromEntries(verbs.map((verb) => [verb, (one[verb] ?? 0) + (other[verb] ?? 0)]));
}
