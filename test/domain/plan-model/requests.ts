/** What is asked for in a story, as requests that fit the machine. */
import type { OperationRequest } from '../../../domain/request';
import { CLUSTER, WORKSPACE } from '../fixtures';
import type { Machine } from './machine';
import { KEY_OBJECTS, vaultOf } from './names';

/** What is asked for, and which key, counted over those that fit; 0 names none where none need be named. With KMS off most asks enable it. */
export interface Ask {
  readonly what: keyof (typeof KIND_OF)['on'];
  readonly key: number;
}

/** A kind that fits, so that most asks become plans. */
const KIND_OF = {
  on: {
    change: 'rotate-key',
    disable: 'disable-kms',
    rewrite: 'rewrite-secrets',
    replace: 'replace-key',
    retire: 'retire-key',
    move: 'change-vault',
    access: 'change-vault-access',
    upgrade: 'upgrade-to-kms-v2',
    recover: 'recover-key',
    provision: 'provision-kms',
    diagnostics: 'enable-vault-diagnostics',
  },
  off: {
    change: 'enable-kms',
    disable: 'rewrite-secrets',
    rewrite: 'rewrite-secrets',
    replace: 'enable-kms',
    retire: 'retire-key',
    move: 'enable-kms',
    access: 'enable-kms',
    upgrade: 'enable-kms',
    recover: 'recover-key',
    provision: 'provision-kms',
    diagnostics: 'provision-kms',
  },
} as const;
const SOAK_IN_SECONDS = 600;

/** The request that an ask is, on a machine as it is now. */
export function requestFor(machine: Machine, { what, key }: Ask): OperationRequest {
  const kind = KIND_OF[machine.reportedKeyId() === null ? 'off' : 'on'][what];
  return requestOf(kind, parametersOf(machine, kind, key));
}

/** A request of any kind. */
export function requestOf(kind: string, parameters: Record<string, unknown> = {}): OperationRequest {
  return { kind, cluster: CLUSTER, parameters, change: { number: 'CHG1' }, whenBusy: 'refuse' };
}

function parametersOf(machine: Machine, kind: string, key: number): Record<string, unknown> {
  const all = machine.azure.keyIds;
  const enabled = all.filter((keyId) => machine.azure.stateOf(keyId) === 'enabled');
  const current = machine.reportedKeyId();
  const here = enabled.filter((keyId) => current === null || vaultOf(keyId) === vaultOf(current));
  const there = enabled.filter((keyId) => !here.includes(keyId));
  const named = here[key - 1];
  switch (kind) {
    case 'rotate-key':
      return named === undefined ? {} : { keyId: named };
    case 'replace-key': {
      const next = key % 2 === 0 ? here[key - 2] : undefined;
      return {
        soakInSeconds: SOAK_IN_SECONDS,
        ...(named === undefined ? {} : { keyId: named }),
        ...(next === undefined ? {} : { nextKeyId: next }),
      };
    }
    case 'retire-key':
      return { soakInSeconds: SOAK_IN_SECONDS, keyId: all[key % all.length] };
    case 'enable-kms':
      return reached(machine, here[key % here.length] ?? machine.newVersion());
    case 'change-vault': {
      const other = KEY_OBJECTS.find((object) => current === null || vaultOf(object) !== vaultOf(current));
      return reached(machine, there[key % Math.max(1, there.length)] ?? machine.newVersion(other));
    }
    case 'provision-kms':
      // As the schema of the kind completes them.
      return {
        vaultName: 'kv9',
        keyName: 'k9',
        permissionModel: 'rbac',
        retentionDays: 90,
        keySizeInBits: 2048,
      };
    case 'enable-vault-diagnostics':
      return { workspaceId: WORKSPACE, settingName: 'keyturn' };
    case 'change-vault-access':
      return { vaultAccess: machine.observed().kms.networkAccess === 'Private' ? 'Public' : 'Private' };
    default:
      return {};
  }
}

/** A key, and the access that its vault gives now. */
function reached(machine: Machine, keyId: string): Record<string, unknown> {
  return { keyId, vaultAccess: machine.azure.isClosed(keyId) ? 'Private' : 'Public' };
}
