/**
 * The Idempotency-Key: one key of one caller is one operation, however often it is sent (invariant O2).
 * The operation's id is made from both, and Temporal starts nothing twice under one id while the namespace's retention lasts.
 */
import type { Request } from 'express';
import { z } from 'zod';
import { canonicalJson, sha256Hex } from '../domain/canonical';
import type { Actor } from '../domain/people';
import { ApiError } from './problem';
import type { HeaderReader } from './route';

const KEY = /^[\x21-\x7e]{1,128}$/;
const ID_DIGITS = 26;

/** The form of an operation's id. */
export const OPERATION_ID = new RegExp(`^op-[0-9a-f]{${ID_DIGITS}}$`);

/** The id of the operation that a caller's key stands for. */
export function operationIdFor(caller: Actor, idempotencyKey: string): string {
  const identity = [caller.tenantId, caller.objectId, idempotencyKey];
  return `op-${sha256Hex(canonicalJson(identity)).slice(0, ID_DIGITS)}`;
}

/** Reads the Idempotency-Key header. */
export const idempotencyKey = {
  documented: z.object({
    'Idempotency-Key': z.string().regex(KEY).meta({
      description:
        'Names this request: 1 to 128 visible ASCII characters, for example a UUID or the number of the change. The same key with the same body gives the same operation; with another body it is refused.',
      example: 'CHG0030192-1',
    }),
  }),
  read: (request: Request) => ({ idempotencyKey: readKey(request) }),
} satisfies HeaderReader<{ readonly idempotencyKey: string }>;

function readKey(request: Request): string {
  const given = request.headersDistinct['idempotency-key'];
  if (given === undefined) {
    throw new ApiError({
      code: 'IdempotencyKeyMissing',
      detail:
        'Send an Idempotency-Key header, the same for each try of one request. Without it, Keyturn cannot recognize a repeated request.',
    });
  }
  const [key, ...others] = given;
  if (key === undefined || others.length > 0 || !KEY.test(key)) {
    throw new ApiError({
      code: 'IdempotencyKeyInvalid',
      detail: 'Send one Idempotency-Key of 1 to 128 visible ASCII characters (no space).',
    });
  }
  return key;
}
