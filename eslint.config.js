/** Lint: what the types alone do not forbid. Each rule that is not obvious has its reason. `npm run lint`. */
import tseslint from 'typescript-eslint';

const timers = 'the clock is injected: use Clock of src/env/clock.ts';

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'kv-filelog-data/'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // A promise nobody waits for is a failure nobody sees.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' },
      ],
      // Methods of interfaces are async because another implementation waits.
      '@typescript-eslint/require-await': 'off',
      eqeqeq: ['error', 'always'],
      'no-console': 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'max-lines-per-function': ['error', { max: 70, skipComments: true, skipBlankLines: true, IIFEs: true }],
      'max-lines': ['error', { max: 500 }],
    },
  },
  {
    files: ['src/**/*.ts', 'sim/**/*.ts'],
    // The simulated clock lets microtasks run dry by a real immediate.
    ignores: ['src/env/real/**', 'src/env/simulated/clock.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'performance'].map((name) => ({
          name,
          message: timers,
        })),
      ],
    },
  },
  {
    // node:test returns promises that the runner waits for, and a suite is one long function.
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
          ],
        },
      ],
      '@typescript-eslint/unbound-method': 'off',
      'max-lines-per-function': 'off',
      'no-console': 'off',
    },
  },
);
