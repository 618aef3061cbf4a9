/**
 * docker-compose.yml as Compose reads it: merge keys, variables, defaults.
 *
 * Never does: check the file against the compose specification. dclint does (`npm run lint`).
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

/** The checkout. */
export const ROOT = path.join(__dirname, '..', '..');

/** What a service that depends on another one waits for. */
export const Condition = z.enum(['service_healthy', 'service_completed_successfully']);

const ComposeService = z.looseObject({
  image: z.string(),
  user: z.string().optional(),
  environment: z.record(z.string(), z.string().nullable()).default({}),
  entrypoint: z.array(z.string()).default([]),
  command: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.tuple([z.literal('CMD')], z.string()) }).optional(),
  depends_on: z.record(z.string(), z.object({ condition: Condition })).default({}),
  volumes: z.array(z.string()).default([]),
  configs: z.array(z.object({ source: z.string(), target: z.string() })).default([]),
  ports: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  restart: z.string(),
  stop_signal: z.enum(['SIGTERM', 'SIGINT']).default('SIGTERM'),
});
/** One service. A variable whose value is null is passed on when it is set where Compose runs. */
export type ComposeService = z.infer<typeof ComposeService>;

const ComposeFile = z.looseObject({
  services: z.record(z.string(), ComposeService),
  configs: z.record(z.string(), z.object({ file: z.string() })),
  volumes: z.record(z.string(), z.null()),
  networks: z.record(z.string(), z.object({ internal: z.boolean() }).nullable()),
});
/** The file. */
export type ComposeFile = z.infer<typeof ComposeFile>;

/** The file as it is written: merge keys resolved, variables not. */
export function composeAsWritten(): ComposeFile {
  return ComposeFile.parse(parse(readFileSync(path.join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }));
}

/**
 * The file as Compose starts it with these variables.
 * @throws Error with the file's own words when a variable that must be set is not
 */
export function composeWith(env: NodeJS.ProcessEnv): ComposeFile {
  const file = ComposeFile.parse(mapStrings(composeAsWritten(), (text) => interpolate(text, env)));
  for (const service of Object.values(file.services)) {
    service.environment = Object.fromEntries(
      Object.entries(service.environment)
        .map(([name, value]) => [name, value ?? env[name] ?? null] as const)
        .filter(([, value]) => value !== null),
    );
  }
  return file;
}

/** The names of the services, each after all that it depends on. @throws Error when they wait for one another */
export function startOrder({ services }: ComposeFile): string[] {
  const order: string[] = [];
  const visit = (name: string, from: readonly string[]): void => {
    if (from.includes(name)) throw new Error(`These services wait for one another: ${[...from, name].join(' → ')}.`);
    for (const needed of Object.keys(services[name]?.depends_on ?? {})) visit(needed, [...from, name]);
    if (!order.includes(name)) order.push(name);
  };
  for (const name of Object.keys(services)) visit(name, []);
  return order;
}

/** `${NAME}`, `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}` and `$$`: what this file needs of Compose's rules. */
export function interpolate(text: string, env: NodeJS.ProcessEnv): string {
  return text.replaceAll(/\$(?:(\$)|\{(\w+)(?:(:-|:\?|-)([^}]*))?\}|)/g, (whole, dollar, name: string, rule, words) => {
    if (dollar !== undefined) return '$';
    if (name === undefined) throw new Error(`A single $ in "${text}": Compose wants ${'${NAME}'} or $$, not ${whole}.`);
    const value = env[name] ?? '';
    if (value === '' && rule === ':?') throw new Error(`${name}: ${words}`);
    const absent = rule === '-' ? env[name] === undefined : value === '' && rule === ':-';
    return absent ? String(words) : value;
  });
}

function mapStrings(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((each) => mapStrings(each, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, mapStrings(each, change)]));
}
