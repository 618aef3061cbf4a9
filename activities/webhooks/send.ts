/**
 * Sends one webhook: one POST, signed as Standard Webhooks says.
 *
 * Never does: follow a redirect, keep or show an answer, use a proxy, or send to an address that is not allowed.
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { Agent, request, type Dispatcher } from 'undici';
import { eventId, type OperationEvent } from '../../domain/events';
import { OwnError } from '../../domain/own-error';
import { isLoopbackName, type SecretPlace, type WebhookEndpoint } from '../../domain/webhooks';
import { AddressRefused, guardedLookup, mayReach, type AddressRules } from './addresses';

/** For all of a request. */
const TIMEOUT_IN_MS = 15_000;
/** More of an answer is not read. */
const MOST_OF_AN_ANSWER = 16_384;
const SECRET = /^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/;

/** How a receiver answered. */
export interface SendResult {
  readonly status: number;
  /** What it asked to wait, if it did. */
  readonly retryAfterInMs?: number;
}

/** Makes the sender of a process. */
export function createWebhookSender(rules: AddressRules & { readonly timeoutInMs?: number }): {
  send(endpoint: WebhookEndpoint, event: OperationEvent, signal: AbortSignal): Promise<SendResult>;
} {
  const timeout = rules.timeoutInMs ?? TIMEOUT_IN_MS;
  const agent = (loopback: boolean): Agent =>
    new Agent({
      connect: { lookup: guardedLookup({ ...rules, loopback }), timeout },
      headersTimeout: timeout,
      bodyTimeout: timeout,
      maxHeaderSize: MOST_OF_AN_ANSWER,
    });
  // An endpoint reaches this machine only by a name of this machine.
  const agents = { yes: agent(rules.loopback), no: agent(false) };

  return {
    async send(endpoint, event, signal) {
      const url = new URL(endpoint.url);
      const loopback = rules.loopback && isLoopbackName(url.hostname);
      const literal = url.hostname.replace(/^\[|\]$/g, '');
      // For an address there is no lookup.
      if (isIP(literal) !== 0 && !mayReach(literal, { ...rules, loopback })) throw new AddressRefused(url.hostname);
      const body = JSON.stringify(event);
      const headers = await signed(endpoint, eventId(event), body);
      const {
        statusCode,
        headers: answered,
        body: rest,
      } = await request(url, {
        method: 'POST',
        headers,
        body,
        dispatcher: loopback ? agents.yes : agents.no,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)]),
      });
      await ignored(rest);
      return { status: statusCode, retryAfterInMs: retryAfter(answered['retry-after']) };
    },
  };
}

/** Read to its end if that is near, so that the connection can be used again. */
async function ignored(body: Dispatcher.ResponseData['body']): Promise<void> {
  try {
    await body.dump({ limit: MOST_OF_AN_ANSWER });
  } catch {
    // The status has come: that is the answer.
    body.destroy();
  }
}

async function signed({ id, secrets }: WebhookEndpoint, event: string, body: string): Promise<Record<string, string>> {
  const at = new Date();
  const keys = await Promise.all(secrets.map((place) => secretAt(place, id)));
  return {
    'content-type': 'application/json',
    'user-agent': 'Keyturn-Webhooks/1',
    'webhook-id': event,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': keys.map((key) => new Webhook(key).sign(event, at, body)).join(' '),
  };
}

/** Read for each delivery: a secret that was replaced counts at once. @throws OwnError that does not show it */
export async function secretAt(place: SecretPlace, endpoint: string): Promise<string> {
  const where = 'file' in place ? `the file ${place.file}` : `the variable ${place.env}`;
  let secret = '';
  try {
    secret = ('file' in place ? await readFile(place.file, 'utf8') : (process.env[place.env] ?? '')).trim();
  } catch {
    // As if it were empty: the sentence names the place.
  }
  if (SECRET.test(secret)) return secret;
  throw new OwnError(
    `A secret of the webhook endpoint ${endpoint} cannot be used: ${where} must have whsec_ and 24 to 64 bytes in base64.`,
  );
}

/** Seconds, or a date (RFC 9110). */
function retryAfter(value: string | string[] | undefined): number | undefined {
  const text = Array.isArray(value) ? value[0] : value;
  if (text === undefined) return undefined;
  const inMs = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isFinite(inMs) && inMs > 0 ? inMs : undefined;
}
