import { describe, expect, it } from '@jest/globals';
import { nodeWarnings, slowWriteWarnings, versionWarnings } from '../../domain/rewrite-effects';
import { goodCluster, planned } from './fixtures';

const pool = (
  name: string,
  count: number,
  autoscaled?: boolean,
): Parameters<typeof nodeWarnings>[0]['agentPools'][number] => ({
  name,
  version: '1.34.1',
  wantedVersion: '1.34.1',
  count,
  mode: 'User',
  ...(autoscaled === undefined ? {} : { autoscaled }),
});

describe('a plan says what its rewrite does to others:', () => {
  it.each([
    ['rotate-key', null, /every Secret once, as fast as/],
    ['rotate-key', 5, /every Secret once, at most 5 of them a second/],
    ['replace-key', null, /every Secret twice/],
    ['rewrite-secrets', null, /every Secret that is stale once/],
  ])('%s at %s a second changes resource versions', (kind, perSecond, words) => {
    const [warning] = versionWarnings(planned(kind).steps, perSecond);
    expect(warning?.detail).toMatch(words);
    expect(warning?.detail).toMatch(/Controllers .*tag keyturn-rewrites-per-second/);
  });

  it('is in every plan that rewrites', () => {
    expect(planned('rotate-key').warnings.map(({ code }) => code)).toContain('SecretsChangeVersion');
  });

  it('writes that wait for a webhook take as long as the dry runs did', () => {
    const admission = { changing: ['webhook slow.example.com'], denying: [], unread: [] };
    const [warning] = slowWriteWarnings(100, { medianInMs: 30_000, inFlight: 32 }, admission);
    expect(warning?.detail).toMatch(/about 30\.0 s .*100 Secrets takes 120 s or more.*slow\.example\.com/);
    expect(slowWriteWarnings(100, { medianInMs: 200, inFlight: 32 }, admission)).toEqual([]);
    expect(slowWriteWarnings(100, undefined, admission)).toEqual([]);
  });

  it('agent pools that have other nodes than Azure counts may be scaled by the change', () => {
    const { steps } = planned('rotate-key');
    const cluster = goodCluster({ agentPools: [pool('a', 3), pool('b', 2), pool('c', 1, true), pool('d', 1)] });
    const [warning] = nodeWarnings(cluster, { a: 5, b: 2, c: 4 }, steps);
    expect(warning?.detail).toContain('a has 5 node(s) and a count of 3; d has 0 node(s) and a count of 1.');
    expect(nodeWarnings(cluster, undefined, steps)).toEqual([]);
    expect(nodeWarnings(cluster, { a: 5 }, planned('rewrite-secrets').steps)).toEqual([]);
  });
});
