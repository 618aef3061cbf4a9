import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readPolicy } from '../../../api/policy/read-policy';

const RULE = `  - name: r
    who: { roles: [Kms.Reader] }
    may: [read]
    kinds: '*'
    scopes: '*'
`;
const faultsOf = (text: string): readonly string[] => readPolicy(text).faults;

describe('a policy file', () => {
  it('is read as the example in the documents is', () => {
    const text = readFileSync(join(__dirname, '../../../docs/policy.example.yaml'), 'utf8');
    const { policy, faults } = readPolicy(text);
    expect(faults).toEqual([]);
    expect(policy?.rules).toHaveLength(5);
    expect(policy?.approvals.more[0]).toEqual({ required: 2, tags: { env: 'prod' } });
  });

  it('may name what a plan changes beside its cluster', () => {
    const subscription = '/subscriptions/11111111-2222-3333-4444-555555555555';
    const group = `${subscription}/resourceGroups/rg`;
    const network = `${group}/providers/Microsoft.Network/virtualNetworks/net`;
    const withScope = (scope: string) =>
      faultsOf(`version: 1\nrules:\n${RULE.replace("'*'\n    scopes: '*'", `'*'\n    scopes: ['${scope}']`)}`);
    for (const scope of [
      subscription,
      group,
      `${group}/providers/Microsoft.ContainerService/managedClusters/aks1`,
      `${group}/providers/Microsoft.KeyVault/vaults/kv-1`.toUpperCase(),
      `${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id_1`,
      `${group}/providers/Microsoft.OperationalInsights/workspaces/logs-1`,
      network,
      `${network}/subnets/api`,
    ]) {
      expect([scope, withScope(scope)]).toEqual([scope, []]);
    }
    for (const scope of [
      `${group}/`,
      `${subscription}/providers/Microsoft.KeyVault/vaults/kv-1`,
      `${group}/providers/Microsoft.KeyVault/vaults/kv-1/keys/k`,
      `${group}/providers/Microsoft.KeyVault/vaults`,
      `${group}/providers/Microsoft.KeyVault/vault/kv-1`,
      `${group}/providers/Microsoft.KeyVault/vaults/kv-1/providers/Microsoft.KeyVault/vaults/kv-2`,
      `${group}/providers/Microsoft.Compute/virtualMachineScaleSets/s`,
    ]) {
      expect([scope, withScope(scope)]).toEqual([scope, [expect.stringMatching(/Expected \*, or the ARM id/)]]);
    }
  });

  it('that is wrong is refused with every fault, by line and column', () => {
    const text = `version: 1
rules:
  - name: r
    who: { role: [Kms.Reader] }
    may: [read, write]
    kinds: [rotate-key, rotate-keys]
    scopes: [/subscriptions/1]
    comment: none
approvals:
  required: 0
  more:
    - required: 2
`;
    expect(faultsOf(text)).toEqual([
      expect.stringMatching(/^4:10: rules\[0\]\.who: Expected at least one entry/),
      expect.stringMatching(/^4:12: rules\[0\]\.who: There is no member "role" here\.$/),
      expect.stringMatching(/^5:17: rules\[0\]\.may\[1\]: Expected one of request, approve, read, break-glass\.$/),
      expect.stringMatching(/^6:25: rules\[0\]\.kinds\[1\]: Expected \* or a kind: .*rotate-key/),
      expect.stringMatching(/^7:14: rules\[0\]\.scopes\[0\]: Expected \*, or the ARM id/),
      expect.stringMatching(/^8:5: rules\[0\]: There is no member "comment" here\.$/),
      expect.stringMatching(/^10:13: approvals\.required: /),
      expect.stringMatching(/^12:7: approvals\.more\[0\]: Expected kinds, scopes or tags/),
    ]);
  });

  it.each([
    ['is no YAML', 'version: 1\nrules: [', /^2:9: /],
    ['has a key twice', `version: 1\nrules: []\nrules:\n${RULE}`, /^3:1: .*unique/],
    ['is empty', '', /^1:1: /],
    ['is of another version', 'version: 2\nrules: []', /^1:10: version: Expected 1/],
    ['lacks its rules', 'version: 1', /^1:1: rules: /],
    ['has two documents', 'version: 1\nrules: []\n---\nversion: 1', /^3:1: /],
    [
      'gives a number for a tag',
      'version: 1\nrules: []\napprovals: { more: [{ required: 2, tags: { tier: 1 } }] }',
      /^3:50: .*quotation marks/,
    ],
    [
      'names one account for two people',
      'version: 1\nrules: []\npeople:\n  - { id: a, accounts: [b] }\n  - { id: c, accounts: [B] }',
      /^5:25: people\[1\]\.accounts\[0\]: This account is listed already/,
    ],
  ])('that %s is refused', (_what, text, fault) => {
    expect(faultsOf(text)[0]).toMatch(fault);
  });

  it('that grows by its own references is refused', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'
        .split('')
        .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[index]}`).join(',')}]`),
    ];
    expect(faultsOf(bomb.join('\n'))[0]).toMatch(/alias/i);
  });
});
