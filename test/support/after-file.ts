/** Loaded for every test file (`setupFilesAfterEnv`). */
import { afterAll, afterEach } from '@jest/globals';
import { checkResponses, expectDocumentedResponses } from './documented-responses';
import { endAll } from './ends';

checkResponses();
afterEach(expectDocumentedResponses);
afterAll(endAll);
afterAll(expectDocumentedResponses);
