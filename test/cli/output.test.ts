/** What `keyturn` writes: texts of others without commands for the terminal, problems as one clear text, exit codes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ExitCode, exitCodeOf } from '../../cli/exit-codes';
import type { Operation } from '../../cli/client/client';
import { clean, cleanLine } from '../../cli/output/clean';
import { LiveView } from '../../cli/output/live';
import { operationText } from '../../cli/output/operation';
import { Output } from '../../cli/output/output';
import { problemFailure } from '../../cli/output/problem';

const ESCAPES = 'a\u001b[31mb\u001b]0;title\u0007c\u009b2Jd\u202ee\u200bf\u0000g\rh';

const operation = {
  id: 'op-0f3b5c1d9e8a7b6c5d4e3f2a1b',
  kind: 'rotate-key',
  status: 'Running',
  reason: null,
  faults: [],
  request: {
    kind: 'rotate-key',
    cluster: '/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/aks1',
    parameters: {},
    change: { number: 'CHG1', reason: `Yearly ${ESCAPES}` },
    whenBusy: 'refuse',
  },
  requestedBy: { tenantId: 't', objectId: 'o', name: 'Olga \u001b[2J', type: 'user' },
  requestedAt: '2026-01-01T00:00:00Z',
  endedAt: null,
  plan: null,
  planRevision: 1,
  approvals: [],
  approvalDeadline: null,
  steps: [
    {
      id: 'a',
      title: 'Take the baseline',
      reason: '',
      changes: 'nothing',
      status: 'done',
      startedAt: 'x',
      result: 'R0 12',
    },
    { id: 'b', title: 'Rewrite', reason: '', changes: 'kubernetes', status: 'running', startedAt: 'x' },
    { id: 'c', title: 'Prove', reason: '', changes: 'nothing', status: 'pending' },
  ],
  progress: { step: 'b', done: 3, total: 10 },
  waitingFor: null,
  keysNeeded: [],
  offers: ['cancel'],
  blockedSecrets: null,
  acceptance: null,
  result: null,
  evidence: null,
  progressText: '',
  links: {},
} as unknown as Operation;

function output(isTTY: boolean): { out: Output; written: string[] } {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text), isTTY };
  return { out: new Output('table', stream, stream), written };
}

describe('texts of others', () => {
  it('lose what a terminal would obey, and what changes the direction of text', () => {
    expect(clean(ESCAPES)).toBe('abcdefgh');
    expect(cleanLine('two\nlines\tand \u001b[1mbold')).toBe('two lines and bold');
  });

  it('reach no view of an operation unchanged', () => {
    // eslint-disable-next-line no-control-regex -- what must not be there
    expect(operationText(operation)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(operationText(operation)).toContain('CHG1: Yearly abcdefgh');
  });
});

describe('an operation that is followed without a terminal', () => {
  it('is a line for each change, each once', () => {
    const { out, written } = output(false);
    const view = new LiveView(out);
    view.show(operation);
    view.show(operation);
    view.show({ ...operation, status: 'Blocked', reason: { code: 'SecretsUnproven', detail: 'Two are left.' } });
    view.end();
    expect(written).toEqual([
      '✓ 1/3 Take the baseline — R0 12\n',
      '▶ 2/3 Rewrite\n',
      'Running\n',
      'Blocked: SecretsUnproven: Two are left.\n',
    ]);
  });
});

describe('a problem of the API', () => {
  it('is its title, every fault with its code and place, and what to do', () => {
    const failure = problemFailure(422, {
      status: 422,
      code: 'KeyExpired',
      title: 'The key has expired.',
      detail: 'kv1/k1 expired.',
      errors: [
        { code: 'KeyExpired', detail: 'kv1/k1 expired.', pointer: '/parameters/keyId' },
        { code: 'ClusterBusy', detail: 'Wait \u001b[5mnow.' },
      ],
    });
    expect(failure.exitCode).toBe(ExitCode.Refused);
    expect(failure.message).toBe(
      'The key has expired.\n  KeyExpired: kv1/k1 expired. (at /parameters/keyId)\n  ClusterBusy: Wait now.',
    );
    const expired = problemFailure(401, { status: 401, code: 'TokenExpired', title: 'T.', detail: 'D.' });
    expect(expired.message).toContain('Run "keyturn login"');
  });

  it('that is none says which setting may be wrong', () => {
    expect(problemFailure(502, '<html>')).toMatchObject({
      exitCode: ExitCode.Unavailable,
      message: expect.stringContaining('KEYTURN_URL'),
    });
  });
});

describe('exit codes', () => {
  it('follow the status and the code of the answer', () => {
    const codes: [number, string, number][] = [
      [400, 'InvalidRequest', ExitCode.Usage],
      [401, 'Unauthenticated', ExitCode.NotAuthorized],
      [403, 'RequesterCannotApprove', ExitCode.NotAuthorized],
      [404, 'OperationNotFound', ExitCode.NotFound],
      [422, 'ClusterNotFound', ExitCode.NotFound],
      [409, 'ClusterBusy', ExitCode.Refused],
      [412, 'PlanDigestMismatch', ExitCode.Refused],
      [429, 'RateLimited', ExitCode.Unavailable],
      [503, 'WorkerUnavailable', ExitCode.Unavailable],
    ];
    for (const [status, code, exit] of codes) expect([code, exitCodeOf(status, code)]).toEqual([code, exit]);
  });

  it('are all in docs/cli.md', () => {
    const text = readFileSync(join(__dirname, '../../docs/cli.md'), 'utf8');
    const documented = [...text.matchAll(/^\| `(\d+)` \|/gm)].map(([, code]) => Number(code));
    expect(documented).toEqual(Object.values(ExitCode));
  });
});
