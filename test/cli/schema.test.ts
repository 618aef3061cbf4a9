/** The types of the command line's client are those of the API document: made from it, by `npm run write-api-client`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { routesOf } from '../../api/app';
import type { ApiDeps } from '../../api/deps';
import { openApiDocument } from '../../api/openapi';

const FILE = join(__dirname, '../../cli/client/schema.d.ts');

it('the client of the command line is made from the API document as it is now', async () => {
  // Only the table of routes is read: nothing of what they work with.
  const document = openApiDocument(routesOf({} as ApiDeps));
  const made = COMMENT_HEADER + astToString(await openapiTS(JSON.stringify(document)));
  if (process.env.KEYTURN_WRITE_API_CLIENT !== undefined) writeFileSync(FILE, made);
  // Otherwise: npm run write-api-client
  expect(readFileSync(FILE, 'utf8') === made).toBe(true);
});
