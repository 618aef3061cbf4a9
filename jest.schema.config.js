/** `npm run test:schema`: the tests that make requests from the API document, on a stack of their own. */
const base = require('./jest.config.js');

/** @type {import('jest').Config} */
module.exports = { ...base, testMatch: ['**/*.schema.ts'], globals: { toolsOfTests: [] } };
