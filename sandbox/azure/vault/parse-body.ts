/** Reading the bodies of requests to vaults. */
import type { z } from 'zod';
import { badRequest } from '../errors';
import { describeIssues } from '../json';

/** @throws AzureError 400 BadParameter that names what is wrong */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body ?? {});
  if (!parsed.success)
    throw badRequest(`The request body is not valid: ${describeIssues(parsed.error)}.`, 'BadParameter');
  return parsed.data;
}
