/** What approvers of a connection should know. */
import type { PlanFacts } from '../kinds/kind';
import { classOf, insideOf } from '../rules/csi';
import type { Warning } from '../plan/plan';
import { listed } from '../listed';
import { resourceName, sameText } from '../resource-ids';
import { lineOfSight } from './line-of-sight';
import { isId, subjectOf, type ConnectParameters } from './parameters';
import { listedTypes, typesOf } from './objects';
import { denyingNames, uncertainTypes, unknownRights } from './read-rights';
import { rotationProof } from './rotation';

/** Of `connect-csi`. */
export function connectWarnings(facts: PlanFacts<ConnectParameters>): Warning[] {
  return [
    ...rotationWarnings(facts),
    ...reachWarnings(facts),
    ...credentialWarnings(facts),
    ...shareWarnings(facts),
    ...connectionWarnings(facts),
  ];
}

/** Whether the class can note that Keyturn makes the connection: Keyturn makes the class, or made it. */
export function connectionIsNoted(facts: Pick<PlanFacts<ConnectParameters>, 'csiInside' | 'parameters'>): boolean {
  const { namespace, secretProviderClass } = facts.parameters;
  return classOf(insideOf(facts), namespace, secretProviderClass)?.ours !== false;
}

function connectionWarnings(facts: PlanFacts<ConnectParameters>): Warning[] {
  const { mode, vaultId, namespace, secretProviderClass } = facts.parameters;
  const { connections } = facts.azure.csi ?? {};
  const isThere = connections?.known === true && connections.value.some(({ targetId }) => sameText(targetId, vaultId));
  if (mode !== 'service-connector' || isThere || connectionIsNoted(facts)) return [];
  return [
    {
      code: 'ServiceConnectionStays',
      detail: `Keyturn did not make the SecretProviderClass ${namespace}/${secretProviderClass}, and does not write into it which connection belongs to it. So disconnect-csi will not remove the connection that this operation makes: remove it by hand when nothing uses it (az aks connection delete).`,
    },
  ];
}

function rotationWarnings({ azure, cluster, parameters }: PlanFacts<ConnectParameters>): Warning[] {
  const rotation = rotationProof(cluster, parameters, azure.csi?.vault);
  if (rotation.state === 'proven') return [];
  if (rotation.state === 'not-proven') {
    const detail = `Rotation is on, and the operation does not prove that it works: a connection whose mount works can fail to renew its files later. ${rotation.why} See for yourself that a pod gets a new version of a secret.`;
    return [{ code: 'RotationNotProven', detail }];
  }
  return [
    {
      code: 'RotationOff',
      detail:
        'The add-on does not renew mounted files: a pod sees a new version of a secret only when it starts again. Rotation is one setting for the whole cluster (az aks addon update --enable-secret-rotation).',
    },
  ];
}

function reachWarnings({ azure, parameters }: PlanFacts<ConnectParameters>): Warning[] {
  const { csi } = azure;
  if (csi?.vault.known !== true) return [];
  const sight = lineOfSight(csi);
  const { vaultId } = csi.vault.value;
  const reading = { types: typesOf(parameters.objects), history: listedTypes(parameters.objects) };
  const uncertain = uncertainTypes(csi, reading);
  const denying = denyingNames(csi, reading);
  return [
    ...(sight === undefined || sight.state === 'not-needed'
      ? []
      : [
          {
            code: 'VaultNotOpenToNodes',
            detail: `${sight.detail} Keyturn does not look into the vault from outside: whether the nodes reach it, and whether it has the objects, the mount at the end shows.`,
          },
        ]),
    ...(denying.length === 0
      ? []
      : [
          {
            code: 'ReadRightsDenied',
            detail: `The deny assignment ${listed(denying)} takes the right to read ${reading.types.join(', ')} objects of the vault ${resourceName(vaultId)} from the identity, whatever roles give. The operation will be blocked at that step until the owner of the subscription, or the managed application that made it, removes it.`,
            volatile: true,
          },
        ]),
    ...unknownRights(csi).map((why) => ({ code: 'ReadRightsUnknown', detail: why, volatile: true })),
    ...(uncertain.length === 0
      ? []
      : [
          {
            code: 'ReadRightsUnknown',
            detail: `The right to read ${uncertain.join(', ')} objects comes from a role assignment with a condition, or a deny assignment with a condition or with groups covers it: Keyturn cannot tell whether it holds. The mount at the end shows it.`,
            volatile: true,
          },
        ]),
  ];
}

/** A credential of the subject for another issuer is one that somebody meant for this cluster, or for an earlier one of its name. */
function credentialWarnings({ azure, cluster, parameters }: PlanFacts<ConnectParameters>): Warning[] {
  const { namespace, serviceAccount, identity } = parameters;
  const { credentials } = azure.csi ?? {};
  if (serviceAccount === undefined || !isId(identity) || credentials?.known !== true) return [];
  const subject = subjectOf({ namespace, name: serviceAccount });
  return credentials.value
    .filter((one) => one.subject === subject && cluster.issuerUrl !== undefined && one.issuer !== cluster.issuerUrl)
    .map((one) => ({
      code: 'FederatedCredentialOfAnotherIssuer',
      detail: `The federated credential ${one.name} of ${resourceName(identity)} has the same subject and the issuer ${one.issuer}, which is not this cluster's (${cluster.issuerUrl ?? ''}): it does not work here. Keyturn leaves it.`,
    }));
}

function shareWarnings({ parameters }: PlanFacts<ConnectParameters>): Warning[] {
  const { mode, identity } = parameters;
  if (mode === 'workload-identity') return [];
  return [
    ...(mode === 'managed-identity' && identity === 'system-assigned'
      ? [
          {
            code: 'EachScaleSetReadsItself',
            detail:
              'Each scale set of the nodes reads with a system-assigned identity of its own. A node pool that is added later needs one too, and its rights: ask for connect-csi again then. The mount at the end shows only that the node of its pod can read; for the others Keyturn shows the rights.',
          },
        ]
      : []),
    {
      code: 'EveryPodMayRead',
      detail:
        'Every pod on the nodes can use this identity: whoever may make pods or SecretProviderClasses in any namespace can read what the identity may read. Workload identity limits it to one service account.',
    },
  ];
}
