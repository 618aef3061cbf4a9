/**
 * Asks a URL of the operator's whether a change may be carried out. Question and answer are signed as by Standard Webhooks.
 *
 * The answer must carry the `webhook-id` of its question, under the signature: an old answer says nothing about a new question.
 */
import { randomUUID } from 'node:crypto';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { z } from 'zod';
import { StoredChange } from '../../domain/change/change';
import type { ChangeAnswer } from '../../domain/change/window';
import { inUtc } from '../../domain/times';
import { ChangeSystemAway, exchange, statusSentence, type JsonAnswer } from './exchange';
import type { ChangeSystem, ChangeSystemSettings } from './port';
import { said } from './said';
import { secretLines } from './secret-file';

type Settings = Extract<ChangeSystemSettings, { name: 'webhook' }>;

const time = z.iso.datetime({ offset: true }).transform(inUtc);

/** What the URL answers. */
const Answer = z.object({
  allowed: z.boolean(),
  /** Whether there is a change of this number. */
  known: z.boolean().default(true),
  reason: z.string().optional(),
  window: StoredChange.shape.window
    .unwrap()
    .extend({ start: time, end: time })
    .refine(({ start, end }) => start < end)
    .optional(),
});

/** The adapter. */
export function webhookChangeSystem({ url, secretFile }: Settings): ChangeSystem {
  return {
    async ask(question, signal) {
      const secrets = await secretLines(secretFile);
      const id = `msg_${randomUUID()}`;
      const at = new Date();
      const body = JSON.stringify({ type: 'change.check', timestamp: at.toISOString(), data: question });
      const answer = await exchange(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': secrets.map((secret) => signerOf(secret).sign(id, at, body)).join(' '),
        },
        body,
        signal,
      });
      if (answer.status !== 200) throw new ChangeSystemAway(statusSentence(url, answer));
      requireSignature(answer, id, secrets);
      const parsed = Answer.safeParse(answer.body);
      if (!parsed.success) throw new ChangeSystemAway('Its answer does not have the form that Keyturn expects.');
      return answerOf(parsed.data);
    },
  };
}

function answerOf({ allowed, known, reason, window }: z.infer<typeof Answer>): ChangeAnswer {
  const shown = window === undefined ? {} : { window };
  if (!known) return { state: 'unknown', says: said(reason, 'there is no such change') };
  if (allowed) return { state: 'allowed', ...shown };
  return { state: 'refused', says: said(reason, 'not now'), ...shown };
}

function signerOf(secret: string): Webhook {
  try {
    return new Webhook(secret);
  } catch {
    throw new ChangeSystemAway('The secret file of the worker has a line that is no secret: `whsec_` and base64.');
  }
}

function requireSignature(answer: JsonAnswer, id: string, secrets: readonly string[]): void {
  if (answer.headers['webhook-id'] !== id)
    throw new ChangeSystemAway('Its answer is not signed for this question: its webhook-id is another one.');
  const verified = secrets.some((secret) => {
    try {
      signerOf(secret).verify(answer.text, answer.headers, { jsonParse: false });
      return true;
    } catch (error) {
      if (error instanceof WebhookVerificationError) return false;
      throw error;
    }
  });
  if (!verified) throw new ChangeSystemAway('The signature of its answer is missing, wrong, or too old.');
}
