/**
 * What differs between a container and a process of this machine: hosts, ports and paths, and nothing else.
 *
 * Every port that a container listens on becomes a free one, every service name 127.0.0.1, and a path that a volume, a config
 * or the image brings is below one folder.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { ComposeFile } from './compose-file';

/**
 * Below the ports that systems give to outgoing connections: Temporal keeps the ports of its services in a column of
 * PostgreSQL that has room for numbers up to 32767.
 */
const PORTS = [20_000, 32_768] as const;
/** Paths that exist in containers only. */
const CONTAINER_PATH = /(?<![\w/])\/(?:etc\/temporal|var\/lib)(?=\/|$)/g;

/** Rewrites texts of docker-compose.yml, and of the files that it mounts. */
export interface Translation {
  /** A path, an argument, the value of a variable, or a whole file. */
  text(value: string): string;
  environment(variables: ComposeFile['services'][string]['environment']): Record<string, string>;
  port(containerPort: number): number;
}

/** Finds free ports for all ports of containers. */
export async function translationOf(options: {
  readonly services: readonly string[];
  readonly containerPorts: readonly number[];
  /** What stands for `/`. */
  readonly root: string;
}): Promise<Translation> {
  const ports = new Map<number, number>();
  for (const port of options.containerPorts) {
    let candidate: number;
    do candidate = randomInt(...PORTS);
    while ([...ports.values()].includes(candidate) || !(await isFree(candidate)));
    ports.set(port, candidate);
  }
  const hostAndPort = new RegExp(`\\b(?:${options.services.join('|')})(?=:\\d)`, 'g');
  const text = (value: string): string =>
    value
      .replaceAll('0.0.0.0', '127.0.0.1')
      .replace(hostAndPort, '127.0.0.1')
      .replace(/\b\d{4,5}\b/g, (digits) => String(ports.get(Number(digits)) ?? digits))
      .replace(CONTAINER_PATH, (path) => `${options.root}${path}`);
  return {
    text,
    environment: (variables) =>
      Object.fromEntries(
        Object.entries(variables).map(([name, value]) => {
          const isHost = name.endsWith('_HOST') && options.services.includes(value ?? '');
          return [name, isHost ? '127.0.0.1' : isSecret(name) ? (value ?? '') : text(value ?? '')];
        }),
      ),
    port: (containerPort) => ports.get(containerPort) ?? containerPort,
  };
}

/** A password may have digits that look like a port. */
function isSecret(name: string): boolean {
  return /PASSWORD|SECRET/.test(name);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
