/**
 * `recover-key`: make the keys of a cluster usable again, see its API servers use them, and prove every Secret.
 *
 * Follows "KMS observability" of the AKS documents, "Diagnose and solve problems": an expired key keeps API servers from reading
 * Secrets, and its owner must extend its expiry. The same holds for keys and vaults that are disabled, deleted or closed, and for an identity
 * that lost its grant or was replaced.
 * Needs: a key in a slot, also of a cluster whose KMS was disabled: AKS goes on reading with it. The cluster may be Failed, and need not
 * answer. Does: repairs what Azure shows as the cause, and nothing else.
 * Never does: purge, lower purge protection, shorten the life of a key, or set another key.
 */
import { z } from 'zod';
import { recentSwitch } from '../recent-switch';
import { NOT_REPAIRABLE, type Cause, type Recovery } from '../recovery';
import { rewriteInPlace } from '../plan/transition';
import type { Warning } from '../plan/plan';
import { recoverySteps } from '../plan/recovery';
import { expiryRule, recoverableRule, repairableClusterRules } from '../rules';
import { causesOfFacts } from '../rules/recovery';
import { describeState } from '../encryption';
import { monthAfterAYear, minutesAfter } from '../times';
import { keySlots } from '../ledger';
import { shortKeyId, resourceName } from '../resource-ids';
import { kind, type PlanFacts } from './kind';
import { startGate } from './steps';
import { kmsV1Warnings } from './warnings';

export const recoverKey = kind({
  name: 'recover-key',
  does: "Makes the keys of a cluster usable again: finds in Azure why its API servers cannot use them, repairs that, waits until the API servers' KMS works, and proves every Secret.",
  never: 'purges a key or a vault, lowers purge protection, shortens the life of a key, or sets another key.',
  section: 'Diagnose and solve problems',
  parameters: z
    .strictObject({
      expiresOn: z.iso.datetime().optional().meta({
        description:
          'When a key version that has expired is to expire. Without it: on the first day of a month, at least a year from now.',
      }),
    })
    .default({}),
  keyFrom: 'current-vault',
  needs: ['recovery'],
  rules: [...repairableClusterRules, expiryRule],
  factRules: [recoverableRule],

  plan(facts) {
    const { cluster, from, azure, parameters, perSecond, ledger } = facts;
    const { recovery = { slots: [] } } = azure;
    const found = causesOfFacts(facts);
    const causes = found.filter(({ type }) => !NOT_REPAIRABLE.includes(type));
    // Nothing brings a purged key back: its KMS does not work whatever else is repaired.
    const lost = found.filter(({ type }) => NOT_REPAIRABLE.includes(type));
    const recent = recentSwitch(ledger, cluster, azure.at);
    const name = resourceName(cluster.resourceId);
    const why = causes.length === 0 ? 'Azure shows no cause any more.' : causes.map(({ text }) => text).join(' ');
    const use = from.mode === 'off' ? 'read what is under its last key' : `use ${describeState(from)}`;
    return {
      summary: `Have ${name} ${use} again. ${why}`,
      to: from,
      steps: [
        startGate(facts, 'A repair changes who may use a key, or what is kept of it; no person does that alone.'),
        ...recoverySteps({
          causes,
          awaitsKms: lost.length === 0,
          recovery,
          state: from,
          provisioningState: cluster.provisioningState,
          clusterPrincipal: cluster.identities[0]?.principalId ?? '',
          expiresOn: minutesAfter(parameters.expiresOn ?? monthAfterAYear(azure.at), 0),
        }),
        // However lately it was proven: nothing is known of Secrets while the API servers could not read them.
        ...(recent || lost.length > 0
          ? []
          : rewriteInPlace(
              'recovered',
              from,
              'While the key did not work, no Secret could be read: only reading each of them shows that none was lost.',
              { perSecond },
            )),
      ],
      warnings: [
        ...warningsOf(facts, recovery, causes),
        ...kmsV1Warnings(from),
        ...recentWarnings(recent?.overAt),
        ...lostWarnings(lost),
      ],
    };
  },
});

function warningsOf(
  { ledger }: Pick<PlanFacts<unknown>, 'ledger'>,
  { slots, kms }: Recovery,
  causes: readonly Cause[],
): Warning[] {
  const types = causes.map(({ type }) => type);
  const unseen = slots.filter(
    ({ key }) => !key.found && types.some((type) => type.startsWith('vault-') || type === 'key-deleted'),
  );
  const unread = slots.filter(({ vault }) => vault.state === 'unknown');
  return [
    ...unseen.map(({ keyId }) => ({
      code: 'KeyNotSeen',
      detail: `Keyturn sees the state of ${shortKeyId(keyId)} only when its vault answers again. If the version itself is disabled or expired, the step repair.await-kms says so: cancel the operation then, and ask again.`,
    })),
    ...unread.map(({ keyId, vault }) => ({
      code: 'VaultNotSeen',
      detail: `Keyturn does not see the vault of ${shortKeyId(keyId)} in ARM, so it does not know its network and grants. ${vault.state === 'unknown' ? vault.why : ''}`,
    })),
    ...(types.includes('vault-deleted')
      ? [
          {
            code: 'VaultGrantsLost',
            detail:
              'Azure deletes the role assignments, diagnostic settings and private endpoints of a vault with the vault, and recovering it does not bring them back. Keyturn gives the cluster its access again, and nothing else. If roles at the vault gave Keyturn its own access, give them again when the operation says that the vault refused it.',
          },
        ]
      : []),
    ...(types.includes('identity-missing') || types.includes('identity-replaced')
      ? [
          {
            code: 'IdentityGrantsLost',
            detail:
              'The identity stands for another principal than before. Keyturn gives it the access to the keys, and nothing else: subnets, route tables, registries and other resources that the old principal had rights on need grants of their own.',
          },
        ]
      : []),
    ...(keySlots(ledger)?.previousKnown === false
      ? [
          {
            code: 'PreviousSlotUnknown',
            detail:
              'Azure does not tell the key of the second slot, and no ledger was read that has it. If that key does not work either, the API servers go on saying so: enable or recover it by hand.',
          },
        ]
      : []),
    ...(causes.length === 0 && (kms?.causes.length ?? 0) > 0
      ? [
          {
            code: 'CauseUnknown',
            detail: `The API servers say that their KMS does not work, and Keyturn finds no cause in Azure. ${kms?.causes.join(' ') ?? ''} A repair that was just made by hand takes minutes to work; the operation waits for that.`,
            volatile: true,
          },
        ]
      : []),
  ];
}

function lostWarnings(lost: readonly Cause[]): Warning[] {
  if (lost.length === 0) return [];
  const why = lost.map(({ text }) => text).join(' ');
  return [
    {
      code: 'NotProvenAfterwards',
      detail: `${why} No operation repairs that. This operation repairs the rest, so that API servers can read what is under other keys, and proves nothing. Inspect the cluster afterwards.`,
    },
  ];
}

function recentWarnings(overAt: string | undefined): Warning[] {
  if (overAt === undefined) return [];
  return [
    {
      code: 'NotProvenAfterwards',
      detail: `The key was set so lately that API servers of this Kubernetes version may not have switched yet. This operation repairs, and proves nothing. Ask for rewrite-secrets after ${overAt}.`,
    },
  ];
}
