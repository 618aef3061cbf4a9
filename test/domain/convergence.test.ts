import { expect, it } from '@jest/globals';
import { allRestarted, sameProcesses, serverName } from '../../domain/convergence';

it('servers are the same when none was started since; one that has ended is no other', () => {
  expect(sameProcesses(['a1', 'b1'], ['b1', 'a1'])).toBe(true);
  expect(sameProcesses(['a1', 'b1'], ['a1'])).toBe(true);
  expect(sameProcesses(['a1', 'b1'], ['a2', 'b1'])).toBe(false);
  expect(sameProcesses(['a1'], ['a1', 'b1'])).toBe(false);
});

it('processes that could be told at one time only do not show that servers are the same', () => {
  expect(sameProcesses(['a1'], [])).toBe(false);
  expect(sameProcesses([], ['a1'])).toBe(false);
  expect(sameProcesses([], [])).toBe(true);
});

it('all are restarted only when each of them is new', () => {
  expect(allRestarted(['a1', 'b1'], ['a2', 'b2'])).toBe(true);
  expect(allRestarted(['a1', 'b1'], ['a2', 'b1'])).toBe(false);
  expect(allRestarted([], ['a1'])).toBe(false);
  expect(allRestarted(['a1'], [])).toBe(false);
});

it('a server is called by its lease, and by its host when that is known', () => {
  expect(serverName({ name: 'a' })).toBe('a');
  expect(serverName({ name: 'a', host: 'node-1' })).toBe('a (host node-1)');
});
