/** Loaded for every test file (`setupFilesAfterEnv`). */
import { afterAll } from '@jest/globals';
import { endAll } from './ends';

afterAll(endAll);
