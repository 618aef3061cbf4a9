import { describe, expect, it } from '@jest/globals';
import { blockedSecrets } from '../../domain/acceptance';
import { newOperation } from '../../domain/new-operation';
import { OperationStatus, type Operation, type StepProgress } from '../../domain/operation';
import { progressInMarkdown, renderProgress } from '../../domain/progress';
import { refusedSecret, suggestionFor, type RefusedSecret } from '../../domain/refusal';
import { KEY_1, KEY_2, NOW, person, request, SIGNED } from './fixtures';

const operation = (change: Partial<Operation> = {}): Operation => ({
  ...newOperation({ id: 'op-1', request: request(), requestedBy: person('ada'), requestedAt: NOW }),
  ...change,
});
const refused = (count: number): RefusedSecret[] =>
  Array.from({ length: count }, (_, index) =>
    refusedSecret({ namespace: 'n', name: `s${index}` }, 'TooLarge', 'Too long.'),
  );
const lines = (change: Partial<Operation>): string[] => renderProgress(operation(change)).split('\n');

describe('the progress of a long step', () => {
  const rewriting = (progress: Partial<StepProgress>): string | undefined =>
    lines({
      status: OperationStatus.Running,
      steps: [{ id: 'rewrite', title: 'Rewrite', reason: '', changes: 'kubernetes', status: 'running' }],
      progress: { step: 'rewrite', done: 10, total: 100, ...progress },
    }).at(-1);

  it.each([
    [89.4, '89 s'],
    [90, '2 min'],
    [5399, '90 min'],
    [5400, '1.5 h'],
    [36_000, '10.0 h'],
  ])('tells %d seconds that are left as %s', (etaInSeconds, text) => {
    expect(rewriting({ perSecond: 12.4, etaInSeconds })).toBe(
      `1. ▶ Rewrite — 10 of 100, 12 a second, about ${text} left`,
    );
  });

  it('tells no rate and no time that are not known', () => {
    expect(rewriting({})).toBe('1. ▶ Rewrite — 10 of 100');
  });

  it('is not told of another step', () => {
    expect(rewriting({ step: 'prove' })).toBe('1. ▶ Rewrite');
  });
});

describe('blocked Secrets', () => {
  const blockedBy = (count: number, acceptable = true): string[] =>
    lines({
      status: OperationStatus.Blocked,
      blockedSecrets: blockedSecrets(count, refused(Math.min(count, 100)), { acceptable }),
    });

  it('are told by name, reason, what the server said and what helps, with the digest that is accepted', () => {
    const { digest } = blockedSecrets(1, refused(1), { acceptable: true });
    expect(blockedBy(1)).toEqual(
      expect.arrayContaining([
        `Blocked Secrets: 1, list digest \`${digest}\``,
        `- n/s0: TooLarge: Too long. ${suggestionFor('TooLarge')}`,
      ]),
    );
  });

  it('are counted from the 21st on', () => {
    const text = blockedBy(23);
    expect(text.filter((line) => line.startsWith('- n/'))).toHaveLength(20);
    expect(text).toContain('- and 3 more');
    expect(blockedBy(20).join('\n')).not.toMatch(/more/);
  });

  it('are told to be unacceptable where they are', () => {
    expect(blockedBy(1, false).join('\n')).toMatch(/\(cannot be accepted\)/);
    expect(blockedBy(101).join('\n')).toMatch(/\(cannot be accepted\)/);
    expect(blockedBy(1).join('\n')).not.toMatch(/cannot be accepted/);
  });
});

it('what was accepted is told with who accepted it and why', () => {
  const by = person('bob');
  const acceptance = {
    ...SIGNED,
    step: 'rotate.prove',
    by,
    reason: 'They go next week.',
    digest: 'sha256:1',
    secrets: refused(21),
  };
  const text = renderProgress(operation({ acceptance }));
  expect(text).toMatch(/Accepted as not rewritten by bob: n\/s0, .*n\/s19 and 1 more\. Reason: They go next week\./);
});

it('keys that are still needed are told at the end', () => {
  expect(lines({ keysNeeded: [KEY_1, KEY_2] }).at(-1)).toBe(
    'Keys that must stay enabled, unexpired and undeleted: kv1/k1/11111111…, kv1/k1/22222222…',
  );
});

describe('where Markdown is shown', () => {
  const comment =
    '[Log in](https://evil.example) ![](https://evil.example/p.png) <b>*_`#`_*</b> a|b ~x~ &lt; snake_case';
  const reason = { code: 'Denied', detail: `Mallory denied the plan: ${comment}` };
  const shown = operation({ status: OperationStatus.Canceled, reason, waitingFor: comment });

  it('the words of people mark up nothing, and are shown as they were written', () => {
    const text = progressInMarkdown(shown);
    expect(text).toContain('\\[Log in\\](https://evil.example) \\!\\[\\](https://evil.example/p.png) \\<b\\>');
    // CommonMark: a backslash before ASCII punctuation shows the character itself.
    expect(text.replaceAll(/\\([!-/:-@[-`{-~])/g, '$1')).toBe(renderProgress(shown));
    expect(text.replaceAll(/\\./g, '')).not.toMatch(/[`[\]<>#|~!&]|!\[/);
  });

  it('Keyturn marks up as before', () => {
    expect(progressInMarkdown(operation({ status: OperationStatus.Running }))).toMatch(/^\*\*Running\*\*/);
  });
});
