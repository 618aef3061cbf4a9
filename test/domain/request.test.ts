import { describe, expect, it } from '@jest/globals';
import { OperationRequest } from '../../domain/request';
import { CLUSTER, KEY_2 } from './fixtures';

const body = { kind: 'rotate-key', cluster: CLUSTER, change: { number: 'CHG1' } };

describe('a request', () => {
  it('gets its defaults', () => {
    expect(OperationRequest.parse(body)).toEqual({ ...body, parameters: {}, whenBusy: 'refuse' });
  });

  it('spells a key id in one way, since key ids are compared by their text', () => {
    const keyId = KEY_2.replace('kv1.vault', 'KV1.Vault');
    expect(OperationRequest.parse({ ...body, parameters: { keyId } }).parameters.keyId).toBe(KEY_2);
  });

  it.each([
    ['a misspelled member', { paramters: {} }],
    ['a misspelled parameter', { parameters: { keyid: KEY_2 } }],
    ['no change', { change: undefined }],
    ['a deadline of zero', { approvalTimeoutInSeconds: 0 }],
    ['a deadline of a month', { approvalTimeoutInSeconds: 31 * 24 * 3600 }],
  ])('with %s is refused', (_what, change) => {
    expect(OperationRequest.safeParse({ ...body, ...change }).success).toBe(false);
  });
});
