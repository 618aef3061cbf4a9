/** `keyturn cluster`: how a cluster stands: its encryption, its ledger, what connects its pods with vaults. */
import { Command } from 'commander';
import { parseClusterId, shortKeyId, type ClusterId } from '../../domain/resource-ids';
import { answerOf, clusterPath } from '../client/client';
import type { components, paths } from '../client/schema';
import { contextOf } from '../context';
import { CommandFailed, ExitCode } from '../exit-codes';
import { cleanLine } from '../output/clean';
import { pairs, table } from '../output/table';

const BASE =
  '/v1/clusters/subscriptions/{subscription}/resourceGroups/{resourceGroup}/providers/Microsoft.ContainerService/managedClusters/{name}';
type Encryption = components['schemas']['ClusterEncryption'];
type LedgerReport = components['schemas']['ClusterLedger'];
type Csi = paths[`${typeof BASE}/csi`]['get']['responses'][200]['content']['application/json'];

/** The commands. */
export function clusterCommand(): Command {
  const command = new Command('cluster').description('Shows how a cluster stands. Nothing is written.');
  look('inspect', 'How its encryption stands: keys, health, proof, and what is wrong.').action(
    async (cluster: string, _options: object, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const params = { path: clusterPath(idOf(cluster)) };
      const found = await answerOf(api, api.client.GET(`${BASE}/encryption`, { params, signal }));
      output.answer(found, () => encryptionText(found));
    },
  );
  look('ledger', 'The key generations that Keyturn has recorded in it.').action(
    async (cluster: string, _options: object, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const params = { path: clusterPath(idOf(cluster)) };
      const found = await answerOf(api, api.client.GET(`${BASE}/ledger`, { params, signal }));
      output.answer(found, () => ledgerText(found));
    },
  );
  look('csi', 'What connects its pods with vaults, and what is broken.').action(
    async (cluster: string, _options: object, self: Command) => {
      const { api, output, signal } = contextOf(self);
      const params = { path: clusterPath(idOf(cluster)) };
      const found = await answerOf(api, api.client.GET(`${BASE}/csi`, { params, signal }));
      output.answer(found, () => csiText(found));
    },
  );
  return command;

  function look(name: string, description: string): Command {
    return command
      .command(name)
      .description(description)
      .argument('<cluster>', 'ARM resource id of the cluster')
      .addHelpText('after', `\nExample:\n  keyturn cluster ${name} /subscriptions/…/managedClusters/aks1`);
  }
}

function idOf(text: string): ClusterId {
  const id = parseClusterId(text);
  if (id !== undefined) return id;
  throw new CommandFailed(
    `This is not the ARM resource id of a managed cluster: ${text}\n  Expected /subscriptions/{id}/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/{name}`,
    ExitCode.Usage,
  );
}

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
const keyName = (key: string | null): string => (key === null ? 'plaintext (KMS off)' : shortKeyId(key));

function encryptionText(found: Encryption): string {
  const { kms, slots, identity, findings, keysNeeded } = found;
  const slot = (one: Encryption['slots']['current']): string | null =>
    one === null ? null : [`${one.keyId} (${one.state})`, ...one.problems].join(' ');
  return [
    pairs([
      ['Cluster', found.cluster],
      ['State', `${found.provisioningState}, ${found.powerState}, Kubernetes ${found.kubernetesVersion}`],
      ['KMS', kms.enabled ? `on, ${kms.scheme}, vault access ${kms.networkAccess ?? 'not known'}` : 'off'],
      ['Current key', slot(slots.current)],
      ['Previous key', slot(slots.previous) ?? (slots.previousKnown ? 'none' : 'not known')],
      ['Identity', `${identity.resourceId ?? 'none'}; may use the key: ${identity.mayUseKey}`],
      ['Proven', found.proven ? 'yes: every Secret is under the current key' : 'no'],
    ]),
    ...(keysNeeded === null || keysNeeded.length === 0
      ? []
      : [
          '',
          'Keys that must stay enabled, unexpired and undeleted:',
          ...keysNeeded.map((key) => `  ${cleanLine(key)}`),
        ]),
    '',
    findings.length === 0
      ? 'Nothing is wrong.'
      : table(
          ['FINDING', 'WHAT IT MEANS', 'REPAIR'],
          findings.map(({ code, detail, repair }) => [code, detail, repair ?? '']),
        ),
  ].join('\n');
}

function ledgerText({ cluster, generations, keysNeeded, confirmed, changedSinceProof }: LedgerReport): string {
  if (generations === null) return `${cleanLine(cluster)} has no ledger: Keyturn never changed its encryption.`;
  return [
    table(
      ['GENERATION', 'STATE', 'SINCE', 'BY', 'SECRETS PROVEN'],
      generations.map(({ keyId, state, since, origin, operationId, proof }) => [
        keyName(keyId),
        state,
        since,
        operationId ?? origin,
        proof === undefined ? '' : String(proof.secrets),
      ]),
    ),
    '',
    `Confirmed by signed evidence: ${yesNo(confirmed)}`,
    ...(changedSinceProof ? ['The cluster was changed in Azure since its current key was proven.'] : []),
    'Keys that must stay enabled, unexpired and undeleted:',
    ...(keysNeeded.length === 0 ? ['  none'] : keysNeeded.map((key) => `  ${cleanLine(key)}`)),
  ].join('\n');
}

function csiText({ addOn, issuerUrl, workloadIdentity, classes, broken, unknown }: Csi): string {
  const rows = classes.map((one) => [
    `${one.namespace}/${one.name}`,
    one.vault ?? 'not readable',
    one.mode ?? '',
    String(one.pods.length),
    [...one.broken, ...one.unknown].join(' '),
  ]);
  return [
    pairs([
      ['Add-on', addOn.enabled ? `on, files renewed: ${addOn.rotationPollInterval ?? 'never'}` : 'off'],
      ['Workload identity', workloadIdentity ? `on, issuer ${issuerUrl ?? 'not known'}` : 'off'],
    ]),
    '',
    classes.length === 0 ? 'No SecretProviderClass.' : table(['CLASS', 'VAULT', 'MODE', 'PODS', 'WRONG'], rows),
    ...[...broken, ...unknown].map(cleanLine),
  ].join('\n');
}
