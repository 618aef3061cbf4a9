/** The attributes that keys, secrets and certificates have in common, as they come and go on the wire. */
import { z } from 'zod';
import type { JsonObject } from '../json';
import type { Vault } from './registry';

/** Attributes that a caller may set. Times are seconds since 1970. */
export const attributesSchema = z.looseObject({
  enabled: z.boolean().optional(),
  exp: z.int().optional(),
  nbf: z.int().optional(),
});

/** Tags of an object. */
export const tagsSchema = z.record(z.string(), z.string());

/** What may be set of one version, and when it was. */
export interface Attributes {
  enabled: boolean;
  exp?: number;
  nbf?: number;
  readonly created: number;
  updated: number;
}

/** Just the attributes that were given. */
export function attributesOf(given: z.infer<typeof attributesSchema> | undefined): {
  enabled?: boolean;
  exp?: number;
  nbf?: number;
} {
  return { enabled: given?.enabled, exp: given?.exp, nbf: given?.nbf };
}

/** `enabled` and the times, without those that are not set. */
export function datesOf({ enabled, nbf, exp, created, updated }: Attributes): JsonObject {
  return {
    enabled,
    ...(nbf === undefined ? {} : { nbf }),
    ...(exp === undefined ? {} : { exp }),
    created,
    updated,
  };
}

/** How long, and whether for sure, what is deleted can be recovered. */
export function recoveryOf({ properties }: Vault): JsonObject {
  const days = properties.softDeleteRetentionInDays;
  const recoverable = days === 90 ? 'Recoverable' : 'CustomizedRecoverable';
  return {
    recoveryLevel: properties.enablePurgeProtection === true ? recoverable : `${recoverable}+Purgeable`,
    recoverableDays: days,
  };
}
