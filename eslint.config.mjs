/** The rules that catch real faults here; how code looks is prettier's business. */
import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import importX from 'eslint-plugin-import-x';
import globals from 'globals';
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';

/**
 * The map of the house: which folder may import which. Dependencies point one way; test/architecture.test.ts reads this.
 * `workflows` may take types from `activities`, never code that runs outside the sandbox (see the rule below).
 */
export const HOUSE = {
  domain: [],
  settings: ['domain'],
  tools: [],
  azure: ['domain'],
  trust: ['domain'],
  evidence: ['azure', 'trust', 'domain'],
  activities: ['azure', 'evidence', 'domain'],
  workflows: ['activities', 'domain'],
  sandbox: ['tools', 'domain'],
  api: ['workflows', 'activities', 'azure', 'evidence', 'trust', 'settings', 'domain'],
  worker: ['workflows', 'activities', 'azure', 'evidence', 'trust', 'settings', 'domain'],
  launch: ['api', 'worker', 'sandbox', 'workflows', 'evidence', 'settings', 'tools', 'domain'],
  cli: ['launch', 'api', 'worker', 'sandbox', 'evidence', 'trust', 'settings', 'tools', 'domain'],
};

const rooms = Object.keys(HOUSE);
const zones = rooms.map((room) => ({
  target: `./${room}`,
  from: [...rooms, 'test', 'bench']
    .filter((other) => other !== room && !HOUSE[room].includes(other))
    .map((other) => `./${other}`),
  message: `${room} may import only: ${HOUSE[room].join(', ') || 'itself'}.`,
}));

const nodeBuiltins = builtinModules.filter((name) => !name.startsWith('_')).flatMap((name) => [name, `node:${name}`]);

const MATH_RANDOM = {
  selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
  message: 'Use node:crypto.',
};

/** All operations of a worker share the modules of workflow code (worker/bundle.ts). */
const MODULE_STATE = [
  'VariableDeclaration[kind="let"]',
  'VariableDeclaration > VariableDeclarator > NewExpression[callee.name=/^(Weak)?(Map|Set)$/][arguments.length=0]',
  'VariableDeclaration > VariableDeclarator > ArrayExpression[elements.length=0]',
].flatMap((selector) =>
  ['Program', 'ExportNamedDeclaration'].map((parent) => ({
    selector: `${parent} > ${selector}`,
    message: 'A module of workflow code keeps no state: operations share it.',
  })),
);

export default tseslint.config(
  { ignores: ['dist', 'node_modules', '.keyturn', 'coverage', 'cli/client/schema.d.ts'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  prettier,
  {
    files: ['**/*.ts'],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [importX.createNodeResolver({ extensions: ['.ts', '.js', '.json'] })],
      'import-x/extensions': ['.ts'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
    },
    languageOptions: { parserOptions: { project: './tsconfig.json' }, globals: globals.node },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-default-export': 'error',
      eqeqeq: ['error', 'always'],
      'no-restricted-syntax': ['error', MATH_RANDOM],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: true },
      ],
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    // Workflow code is replayed: nothing in it may reach out or differ from one run to the next.
    files: ['workflows/**/*.ts', 'domain/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', MATH_RANDOM, ...MODULE_STATE],
      'no-restricted-imports': [
        'error',
        { paths: nodeBuiltins.map((name) => ({ name, message: 'Workflow code runs in a sandbox.' })) },
      ],
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^@temporalio/(activity|client|worker)$|/activities/(?!contract$)',
              allowTypeImports: true,
              message: 'Workflows know activities by their types only.',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['domain/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', 'Date', 'process', 'setTimeout', 'setInterval', 'fetch', 'Buffer'],
    },
  },
  // Jest wants a default export of its global setup and teardown.
  { files: ['test/support/global-*.ts'], rules: { 'import-x/no-default-export': 'off' } },
  { files: ['test/**/*.ts', 'bench/**/*.ts'], rules: { '@typescript-eslint/unbound-method': 'off' } },
  {
    files: ['**/*.mjs', '**/*.js'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: { globals: globals.node },
    rules: { ...tseslint.configs.disableTypeChecked.rules, '@typescript-eslint/no-require-imports': 'off' },
  },
);
