/**
 * Jest runs the TypeScript sources through swc. Packages that ship ES modules only are transformed too: jest's own module
 * loader has no require(esm) on Node 20.
 */
/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '\\.[cm]?[jt]s$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript', decorators: true } }, module: { type: 'commonjs' } },
    ],
  },
  // Everything is transformed but what is CommonJS already and large.
  transformIgnorePatterns: [
    '/node_modules/(?:@temporalio|@swc|typescript|webpack|express|@grpc|protobufjs|long)/',
    '\\.node$',
  ],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  setupFilesAfterEnv: ['<rootDir>/test/support/after-file.ts'],
  reporters: ['default', '<rootDir>/test/support/closing-line.js'],
  testSequencer: '<rootDir>/test/support/longest-first.js',
  maxWorkers: 3,
  // Forces worker processes, which inherit the environment that the global setup prepares (NODE_EXTRA_CA_CERTS is read at process start).
  workerIdleMemoryLimit: '1GB',
  // For tests and hooks: what is slow here is API servers, and they are several times slower on a busy machine.
  testTimeout: 240_000,
};
