/** What is read from other programs: the load generator, kubectl, the kernel, the load balancer, the other client. */
import { describe, expect, it } from '@jest/globals';
import { rateOf, targetLine } from '../../bench/generator';
import { sortErrors } from '../../bench/kubectl';
import { latencyOf } from '../../bench/other-clients';
import { peakOf } from '../../bench/peak-memory';
import { secretsPerCall } from '../../bench/rig';
import { bytesDuring } from '../../bench/traffic';

describe("the load generator's report", () => {
  const report = { duration: 1.5e9, wait: 0.5e9, status_codes: { 0: 1, 200: 300 }, errors: ['no targets to attack'] };

  it('gives the rate until the last answer; the end of the targets is no fault', () => {
    expect(rateOf(report, 300)).toBe(150);
  });

  it.each([
    ['an answer that is not 200', { status_codes: { 200: 299, 409: 1 }, errors: ['409 Conflict'] }],
    ['a request without an answer', { status_codes: { 0: 2, 200: 299 }, errors: ['EOF', 'no targets to attack'] }],
    ['a missing request', { status_codes: { 0: 1, 200: 299 } }],
    ['a request too many', { status_codes: { 200: 301 } }],
  ])('with %s is refused', (_what, change) => {
    expect(() => rateOf({ ...report, ...change }, 300)).toThrow('for 300 Secrets');
  });

  it('is of the patch that Keyturn sends: fenced, empty, metadata only', () => {
    const line = targetLine('https://127.0.0.1:1', { namespace: 'n', name: 'a b', uid: 'u', resourceVersion: '7' });
    const { body, ...target } = JSON.parse(line) as { body: string };
    expect(target).toEqual({
      method: 'PATCH',
      url: 'https://127.0.0.1:1/api/v1/namespaces/n/secrets/a%20b?fieldManager=keyturn&fieldValidation=Ignore',
      header: {
        Accept: ['application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io'],
        'Content-Type': ['application/strategic-merge-patch+json'],
        'User-Agent': ['keyturn'],
      },
    });
    expect(JSON.parse(Buffer.from(body, 'base64').toString())).toEqual({
      metadata: { uid: 'u', resourceVersion: '7' },
    });
  });
});

describe('the output of kubectl replace', () => {
  it('tells conflicts from failures', () => {
    const output = [
      'secret/secret-00001 replaced',
      'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on secrets "x"',
      'Error from server (NotFound): error when replacing "STDIN": secrets "gone" not found',
      'Unable to connect to the server: EOF',
      '',
    ];
    expect(sortErrors(output.join('\n'))).toEqual({ conflicts: 2, others: ['Unable to connect to the server: EOF'] });
  });
});

describe('the peak of memory', () => {
  it("is the kernel's high water mark, not what is resident now", () => {
    expect(peakOf('Name:\tnode\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n')).toBe(2048 * 1024);
    expect(() => peakOf('VmRSS:\t    1024 kB\n')).toThrow('VmHWM');
  });
});

describe('the traffic of an interval', () => {
  const looks = [10, 20, 30, 40].map((at) => ({ at, bytesToClients: at * 100 }));

  it('is counted between the looks around it: never too little', () => {
    expect(bytesDuring(looks, 21, 29)).toBe(1_000);
    expect(bytesDuring(looks, 19, 31)).toBe(3_000);
    expect(bytesDuring(looks, 20, 40)).toBe(2_000);
  });

  it('that was not watched to its end is an error', () => {
    expect(() => bytesDuring(looks, 5, 30)).toThrow('not watched');
    expect(() => bytesDuring(looks, 20, 41)).toThrow('not watched');
  });
});

describe("the other client's latency", () => {
  const span = (activity: string, startedAt: number, endedAt: number) => ({ activity, startedAt, endedAt });
  const samples = [
    { at: 1, ms: 2 },
    { at: 50, ms: null },
    { at: 100, ms: 9 },
    { at: 200, ms: 3 },
  ];

  it('is of the idle time and of the rewrite; neither what is between them nor the proof counts', () => {
    const spans = [span('rewriteSecrets', 90, 110), span('proveSecrets', 190, 210)];
    expect(latencyOf(samples, { from: 0, to: 10 }, spans)).toEqual({
      idle: { count: 1, p50: 2, p99: 2 },
      during: { count: 1, p50: 9, p99: 9 },
    });
  });

  it('with a failed request in it is an error', () => {
    const spans = [span('rewriteSecrets', 40, 110)];
    expect(() => latencyOf(samples, { from: 0, to: 10 }, spans)).toThrow('failed');
  });
});

describe('filling the cluster', () => {
  it('asks for fewer Secrets at a time when they are large, and for at least one', () => {
    expect([1, 1_024, 100 * 1024, 1_000_000].map(secretsPerCall)).toEqual([5_000, 5_000, 512, 52]);
  });
});
