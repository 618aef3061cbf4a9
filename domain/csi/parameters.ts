/** What requests of the CSI kinds name. */
import { z } from 'zod';
import { sha256Hex } from '../canonical';
import { jsonBytes } from '../text-budget';
import { VAULT_ID_PATTERN, parseVaultId, resourceName } from '../resource-ids';
import type { FederatedCredential } from './facts';
import { CsiObject, sharedFiles } from './objects';

/** Names of Kubernetes objects: DNS labels (RFC 1123), and subdomains of them. */
const LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/;
const IDENTITY_ID =
  /^\/subscriptions\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\/resourceGroups\/[-\w.()]{1,90}\/providers\/Microsoft\.ManagedIdentity\/userAssignedIdentities\/[a-z0-9][-_a-z0-9]{2,127}$/i;

const identityId = z.string().regex(IDENTITY_ID, {
  error:
    'Expected /subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}.',
});

/** The three ways in, by the document. */
export const ConnectMode = z.enum(['workload-identity', 'managed-identity', 'service-connector']);
/** The three ways in. */
export type ConnectMode = z.infer<typeof ConnectMode>;

/** The plan has the objects twice, and the memo of an operation has the plan. Some twenty-five ordinary objects. */
const OBJECTS_BYTES = 2_000;

const namespace = z.string().regex(LABEL, { error: 'Expected the name of a namespace.' });
const secretProviderClass = z.string().regex(SUBDOMAIN, { error: 'Expected the name of a Kubernetes object.' });
const serviceAccount = z.string().regex(SUBDOMAIN, { error: 'Expected the name of a Kubernetes object.' });
const connectionName = z
  .string()
  .regex(/^[a-z0-9._]{1,60}$/i, { error: 'Expected 1 to 60 letters, digits, dots and underscores.' });

/** The member `parameters` of `connect-csi`. */
export const ConnectParameters = z
  .strictObject({
    mode: ConnectMode.meta({
      description:
        '`workload-identity`: a service account of the pods is the identity, by a federated credential. `managed-identity`: an identity of the nodes. `service-connector`: Azure makes the connection, with the identity of the add-on.',
    }),
    vaultId: z
      .string()
      .refine((text) => parseVaultId(text) !== undefined, {
        error:
          'Expected /subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}.',
      })
      .meta({
        pattern: VAULT_ID_PATTERN,
        description: 'ARM resource id of the vault.',
      }),
    namespace: namespace.meta({ description: 'Namespace of the pods. It must exist.' }),
    secretProviderClass: secretProviderClass.meta({ description: 'Name of the SecretProviderClass that pods name.' }),
    objects: z
      .array(CsiObject)
      .min(1)
      .max(50)
      .refine((objects) => jsonBytes(objects) <= OBJECTS_BYTES, {
        error: `The objects are too many for one plan: at most ${OBJECTS_BYTES} bytes of JSON. Make another SecretProviderClass for the rest.`,
      })
      .refine((objects) => sharedFiles(objects).length === 0, {
        error: 'Two objects become the same file: give one of them an objectAlias.',
      })
      .meta({ description: 'What pods get out of the vault.' }),
    identity: z
      .union([z.literal('add-on'), z.literal('system-assigned'), identityId])
      .optional()
      .meta({
        description:
          'Who reads the vault. With `workload-identity` the ARM id of a user-assigned identity, which is made if it is missing. With `managed-identity` `add-on` (default: the identity that AKS makes for the add-on), `system-assigned` (that of the nodes, of each scale set its own), or an ARM id.',
      }),
    serviceAccount: serviceAccount.optional().meta({
      description: 'With `workload-identity`: the service account of the pods; it is made if it is missing.',
    }),
    connectionName: connectionName.optional().meta({
      description: 'With `service-connector`: name of the connection. Default: made of the name of the vault.',
    }),
    rotationPollInterval: z
      .string()
      .regex(/^(?:\d{1,4}[smh]){1,3}$/, { error: 'Expected a duration, as 2m.' })
      .optional()
      .meta({
        description:
          'How often mounted files are renewed, where the add-on has to be turned on. Without it they are not: pods see a new version when they start.',
      }),
    proveRotation: z.boolean().optional().meta({
      description:
        'Where rotation is on: whether a pod of its own shows that a mounted file follows the vault. Keyturn makes a secret or a key of its own in the vault for it, and deletes it again. Default: true for a vault that is open to all networks; a private one takes the probe only where Keyturn has a way to it.',
    }),
    image: z
      .string()
      .regex(/^[-\w./:@]{1,255}$/)
      .default('mcr.microsoft.com/azurelinux/base/nodejs:20')
      .meta({
        description:
          'Image of the pod that compares the mounted files with the vault: one that has Node.js, which the nodes can pull.',
      }),
  })
  .superRefine((parameters, context) => {
    for (const [path, message] of contradictions(parameters))
      context.addIssue({ code: 'custom', path: [path], message });
  });
/** The member `parameters` of `connect-csi`. */
export type ConnectParameters = z.infer<typeof ConnectParameters>;

/** The member `parameters` of `disconnect-csi`. */
export const DisconnectParameters = z.strictObject({
  namespace: namespace.meta({ description: 'Namespace of the SecretProviderClass.' }),
  secretProviderClass: secretProviderClass.meta({ description: 'Name of the SecretProviderClass.' }),
  serviceAccount: serviceAccount.optional().meta({
    description: 'The service account that `connect-csi` was asked for; it is removed if Keyturn made it.',
  }),
  identity: identityId.optional().meta({
    description:
      'The identity that `connect-csi` was asked for: the federated credential that Keyturn made for the service account is removed from it. The identity itself and its rights stay.',
  }),
  disableAddOn: z.boolean().default(false).meta({
    description: 'Whether the add-on is turned off at the end. Refused while any SecretProviderClass is left.',
  }),
});
/** The member `parameters` of `disconnect-csi`. */
export type DisconnectParameters = z.infer<typeof DisconnectParameters>;

/** What the mode forbids or needs: the member, and one sentence. */
function contradictions({
  mode,
  identity,
  serviceAccount: account,
  connectionName: connection,
}: Pick<ConnectParameters, 'mode' | 'identity' | 'serviceAccount' | 'connectionName'>): [string, string][] {
  const byAccount = mode === 'workload-identity';
  return [
    ...(byAccount && !isId(identity)
      ? [['identity', 'Workload identity needs the ARM id of a user-assigned identity.'] as [string, string]]
      : []),
    ...(mode === 'service-connector' && identity !== undefined && identity !== 'add-on'
      ? [['identity', 'Service Connector uses the identity of the add-on.'] as [string, string]]
      : []),
    ...(byAccount === (account !== undefined)
      ? []
      : [
          [
            'serviceAccount',
            byAccount ? 'Workload identity needs a service account.' : 'Only workload identity uses a service account.',
          ] as [string, string],
        ]),
    ...(connection !== undefined && mode !== 'service-connector'
      ? [['connectionName', 'Only Service Connector makes a connection.'] as [string, string]]
      : []),
  ];
}

/** Whether an identity is named by its ARM id. */
export function isId(identity: string | undefined): identity is `/${string}` {
  return identity?.startsWith('/') ?? false;
}

/** The subject of the tokens of a service account. */
export function subjectOf(account: { readonly namespace: string; readonly name: string }): string {
  return `system:serviceaccount:${account.namespace}:${account.name}`;
}

/**
 * Whom the tokens of service accounts are for: what driver and webhook ask the API server for, in every cloud.
 * Source: github.com/Azure/azure-workload-identity, `--audience`; CSIDriver `secrets-store.csi.k8s.io`, `tokenRequests`.
 */
export const TOKEN_AUDIENCE = 'api://AzureADTokenExchange';

/** The name of the federated credential that Keyturn makes for a service account of a cluster: by it Keyturn knows its own again. */
export function credentialName(cluster: string, subject: string): string {
  return `keyturn-${sha256Hex(`${cluster.toLowerCase()}\n${subject}`).slice(0, 16)}`;
}

/** Whether a federated credential takes the tokens of a subject: compared byte by byte, as Entra ID does. */
export function isCredentialFor(
  credential: FederatedCredential,
  wanted: Pick<FederatedCredential, 'issuer' | 'subject'>,
): boolean {
  const { issuer, subject, audiences } = credential;
  return issuer === wanted.issuer && subject === wanted.subject && audiences.includes(TOKEN_AUDIENCE);
}

/** The name of a connection: Service Connector takes letters, digits, dots and underscores. */
export function connectionNameFor(vaultId: string, asked: string | undefined): string {
  return asked ?? resourceName(vaultId).replaceAll('-', '_');
}
