/**
 * The file of webhook endpoints: who is told of the events of operations. Pure: it has the names of secrets, never a secret.
 *
 * A host must be in a list of its own, which another person may keep: whoever may write this file cannot have Keyturn send requests
 * to any address that the worker reaches.
 */
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { EventType, type OperationEvent } from './events';
import { covers } from './scope';

/** Where a secret is. Never the secret. */
const SecretPlace = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({
    env: z.string().regex(/^[A-Z][A-Z0-9_]*$/, { error: 'must be the name of an environment variable' }),
  }),
]);
/** Where a secret is. */
export type SecretPlace = z.infer<typeof SecretPlace>;

/** One receiver. */
export const WebhookEndpoint = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, { error: 'must be lower-case letters, digits and hyphens, 40 at most' }),
  url: z.string().refine((url) => URL.canParse(url) && plain(new URL(url)), {
    error: 'must be an http or https URL without user and fragment',
  }),
  /** Each signs: while a secret is being replaced, the receiver may know the old one or the new one. */
  secrets: z.array(SecretPlace).min(1).max(3),
  /** Types of events; absent for all. */
  events: z.array(EventType).min(1).optional(),
  /** ARM ids of clusters, resource groups or subscriptions; absent for all. */
  clusters: z.array(z.string().startsWith('/subscriptions/')).min(1).optional(),
});
/** One receiver. */
export type WebhookEndpoint = z.infer<typeof WebhookEndpoint>;

const WebhooksFile = z.strictObject({ endpoints: z.array(WebhookEndpoint).max(20) });

/** How endpoints may be reached. */
export interface WebhookReach {
  /** `host` for port 443, `host:port` for another one; lower case. */
  readonly hosts: readonly string[];
  /** Whether http is taken, to this machine only: for the sandbox. */
  readonly httpToLoopback: boolean;
}

/** The endpoints of a file, or everything that is wrong with it, a sentence each. @param text YAML or JSON */
export function webhookEndpoints(text: string): { endpoints: readonly WebhookEndpoint[]; faults: readonly string[] } {
  const document = parseDocument(text, { prettyErrors: true });
  const [broken] = document.errors;
  if (broken) return { endpoints: [], faults: [`is not YAML: ${broken.message.split('\n')[0]}`] };
  const parsed = WebhooksFile.safeParse(document.toJS());
  if (!parsed.success) {
    return {
      endpoints: [],
      faults: parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`),
    };
  }
  const { endpoints } = parsed.data;
  const twice = endpoints.filter(({ id }, index) => endpoints.findIndex((other) => other.id === id) !== index);
  return { endpoints, faults: twice.map(({ id }) => `has two endpoints with the id ${id}`) };
}

/** Why endpoints may not be reached, a sentence each. */
export function reachFaults(endpoints: readonly WebhookEndpoint[], { hosts, httpToLoopback }: WebhookReach): string[] {
  return endpoints.flatMap(({ id, url }) => {
    const { protocol, hostname, port } = new URL(url);
    const host = port === '' ? hostname : `${hostname}:${port}`;
    if (protocol === 'http:' && !(httpToLoopback && isLoopbackName(hostname)))
      return [`the endpoint ${id} needs https. Only KEYTURN_WEBHOOK_HTTP_LOOPBACK=allow takes http, to 127.0.0.1`];
    return hosts.includes(host.toLowerCase())
      ? []
      : [`the host ${host} of the endpoint ${id} is not in KEYTURN_WEBHOOK_HOSTS`];
  });
}

/** Whether an endpoint hears of a cluster. Scopes end at a slash: `…/rg` is not `…/rg2`. */
export function hearsOf({ clusters }: WebhookEndpoint, cluster: string): boolean {
  return clusters === undefined || clusters.some((scope) => covers(scope.replace(/\/+$/, ''), cluster));
}

/** Whether an endpoint wants an event. */
export function wants({ events }: WebhookEndpoint, { type }: Pick<OperationEvent, 'type'>): boolean {
  return events === undefined || events.includes(type);
}

/** The numbers and names of this machine itself. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function plain({ protocol, username, password, hash }: URL): boolean {
  return (protocol === 'https:' || protocol === 'http:') && `${username}${password}${hash}` === '';
}
