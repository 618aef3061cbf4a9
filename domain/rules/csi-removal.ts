/** What must hold before a connection between pods and a vault is taken away: nothing of others is lost. */
import type { DisconnectParameters } from '../csi/parameters';
import type { Fault } from '../errors';
import type { FactRule } from '../kinds/kind';
import { listed } from '../listed';
import { classesNeeding, whyItStays } from '../csi/service-connection';
import { resourceName } from '../resource-ids';
import { classOf, insideOf } from './csi';

/** What is removed was made by Keyturn, and no pod uses it. */
export const classUnusedRule: FactRule<DisconnectParameters> = {
  codes: ['SecretProviderClassInUse', 'NotMadeByKeyturn'],
  check(facts): Fault[] {
    const { namespace, secretProviderClass: name, disableAddOn } = facts.parameters;
    const { classes } = insideOf(facts);
    const found = classOf(insideOf(facts), namespace, name);
    const pointer = '/parameters/secretProviderClass';
    const others = classes.filter((one) => one !== found);
    return [
      ...(found && !found.ours
        ? [
            {
              code: 'NotMadeByKeyturn' as const,
              pointer,
              detail: `The SecretProviderClass ${namespace}/${name} was not made by connect-csi (it has no label keyturn.dev/connection). Keyturn removes only what it made.`,
            },
          ]
        : []),
      ...(found && found.pods.length > 0
        ? [
            {
              code: 'SecretProviderClassInUse' as const,
              pointer,
              detail: `Pods mount ${namespace}/${name}: ${listed(found.pods)}. When they start again, they would not find it. Remove it from them first.`,
            },
          ]
        : []),
      ...(disableAddOn && others.length > 0
        ? [
            {
              code: 'SecretProviderClassInUse' as const,
              pointer: '/parameters/disableAddOn',
              detail: `Without the add-on no pod can mount these any more, and AKS refuses to turn it off: ${listed(others.map((one) => `${one.namespace}/${one.name}`))}. Leave disableAddOn out, or remove them first.`,
            },
          ]
        : []),
    ];
  },
};

/** The connection that Keyturn made for the class is seen, and no other class reads the vault by it. */
export const connectionUnusedRule: FactRule<DisconnectParameters> = {
  codes: ['ServiceConnectionDiffers', 'SecretProviderClassInUse'],
  check(facts): Fault[] {
    const { namespace, secretProviderClass: name } = facts.parameters;
    const made = classOf(insideOf(facts), namespace, name)?.connection;
    if (made === undefined) return [];
    const { connections } = facts.azure.csi ?? {};
    const pointer = '/parameters/secretProviderClass';
    const vault = resourceName(made.vaultId);
    if (connections?.known !== true) {
      const why = connections?.why ?? 'Keyturn did not look at the connections of the cluster.';
      const detail = `Keyturn made the connection ${made.name} to the vault ${vault} for ${namespace}/${name}, and cannot see whether it is still that one. ${why} Nothing was changed.`;
      return [{ code: 'ServiceConnectionDiffers', pointer, detail }];
    }
    if (whyItStays(made, connections) !== undefined) return [];
    const others = classesNeeding(made, {
      classes: insideOf(facts).classes,
      of: { namespace, name },
      addOnClientId: facts.cluster.secretsProvider?.identity?.clientId,
    });
    if (others.length === 0) return [];
    const detail = `Keyturn made the connection ${made.name} for ${namespace}/${name}, and other classes read the vault ${vault} by it, with the identity of the add-on: ${listed(others)}. Pods that mount them could not start any more. Remove those first: disconnect-csi for what Keyturn made, kubectl delete secretproviderclass for the rest.`;
    return [{ code: 'SecretProviderClassInUse', pointer, detail }];
  },
};
