/**
 * The one table of what can be wrong. Every refusal, failure and wait that Keyturn reports has its code here. Tests compare
 * the API's problem documents, docs/errors.md and the OpenAPI document with it, both ways.
 */

/** What a code means. */
export interface ErrorEntry {
  /** HTTP status when an API request is answered with it. */
  readonly status: number;
  /** Whether the same request may succeed later without being changed. */
  readonly retryable: boolean;
  /** One short sentence that is the same for every occurrence (RFC 9457 `title`). */
  readonly title: string;
}

const entry = (status: number, title: string, options: { retryable?: boolean } = {}): ErrorEntry => ({
  status,
  title,
  retryable: options.retryable ?? false,
});

/** Every code. */
export const ERRORS = {
  // The request itself
  NotJson: entry(400, 'The body is not JSON.'),
  InvalidRequest: entry(400, 'The request does not have the form that the API document gives.'),
  InvalidClusterId: entry(400, 'The cluster is not named by an ARM resource id of a managed cluster.'),
  InvalidKeyId: entry(400, 'The key is not named by a versioned Key Vault key id.'),
  IdempotencyKeyMissing: entry(400, 'The Idempotency-Key header is missing.'),
  IdempotencyKeyInvalid: entry(400, 'The Idempotency-Key header is not usable.'),
  BodyTooLarge: entry(413, 'The body is too large.'),
  UnsupportedMediaType: entry(415, 'The media type of the body is not supported.'),
  IdempotencyKeyReused: entry(422, 'This Idempotency-Key was used with another body.'),
  RateLimited: entry(429, 'Too many requests from one caller.', { retryable: true }),
  TooManyStreams: entry(429, 'The caller follows too many operations at once.', { retryable: true }),
  TooManyOperations: entry(429, 'Too many operations of one caller or cluster have not ended.', { retryable: true }),

  // Who asks
  Unauthenticated: entry(401, 'No valid access token came with the request.'),
  TokenExpired: entry(401, 'The access token has expired.'),
  RoleMissing: entry(403, 'The caller does not hold the required role.'),
  RightMissing: entry(403, 'The policy does not give the caller this right.'),
  ResourceOutOfScope: entry(403, 'The plan changes a resource that the requester has no right on.'),
  RequesterCannotApprove: entry(403, 'The requester cannot approve their own request.'),
  ProgramCannotApprove: entry(403, 'A program cannot approve; a person must.'),
  ClientCannotApprove: entry(403, 'Decisions do not count through this application.'),
  ScopeMissing: entry(403, 'The access token lacks the scope of this API.'),

  // What is asked about
  RouteNotFound: entry(404, 'There is no such resource.'),
  MethodNotAllowed: entry(405, 'The resource does not have this method.'),
  OperationNotFound: entry(404, 'There is no such operation.'),
  NoRefusedSecrets: entry(404, 'The operation has no report of refused Secrets.'),
  WebhookNotFound: entry(404, 'There is no such webhook endpoint, or no such delivery.'),
  EvidenceNotReady: entry(409, 'The operation has no evidence yet.', { retryable: true }),
  PlanDigestMismatch: entry(412, 'The decision does not match the current plan.'),
  NotAwaitingApproval: entry(409, 'The operation does not wait for approval.'),
  NotBlocked: entry(409, 'The operation is not blocked.'),
  NotPausable: entry(409, 'The operation cannot be paused now.'),
  NotPaused: entry(409, 'The operation is not paused.'),
  NothingToAccept: entry(409, 'There are no Secrets that could be accepted as they are.'),
  TooManyMessages: entry(429, 'The operation accepts no more messages of this kind.'),
  BlockedListChanged: entry(412, 'The acceptance does not match the current list.'),
  OperationEnded: entry(409, 'The operation has ended.'),
  ApprovalExpired: entry(409, 'The deadline for approval has passed.'),
  Denied: entry(409, 'An approver denied the plan.'),
  CanceledOnRequest: entry(409, 'The operation was canceled on request.'),
  ClusterBusy: entry(409, 'Another operation is executing on this cluster.', { retryable: true }),

  // Preconditions of a change, seen in Azure
  ClusterNotFound: entry(422, 'The cluster does not exist, or Keyturn may not read it.'),
  ClusterNotRunning: entry(422, 'The cluster is stopped.', { retryable: true }),
  ClusterNotSucceeded: entry(422, 'The cluster is not in the provisioning state Succeeded.', { retryable: true }),
  ClusterIdentityUnsupported: entry(422, 'KMS needs a user-assigned identity on the cluster.'),
  ClusterVersionUnsupported: entry(422, 'The Kubernetes version of the cluster is not understood.'),
  KmsV1NotSupported: entry(422, 'The kind does not work with KMS v1.'),
  LocalAccountsDisabled: entry(422, 'The cluster gives no admin credentials: its local accounts are disabled.'),
  KmsNotEnabled: entry(422, 'KMS encryption is not enabled on the cluster.'),
  KmsAlreadyEnabled: entry(422, 'KMS encryption is enabled on the cluster already.'),
  TooManySecretsForKmsV1: entry(422, 'The cluster has more Secrets than AKS supports with KMS v1.'),
  PlatformManagedEncryption: entry(422, 'The cluster uses the newer encryption profile, which rotates its own keys.'),
  KmsV2Already: entry(422, 'The cluster encrypts with KMS v2 already.'),
  UpgradeNotOffered: entry(422, 'AKS does not offer the upgrade to this cluster.'),
  AgentPoolOutdated: entry(422, 'An agent pool is older than the control plane.'),
  KeyNotFound: entry(422, 'The key does not exist, or Keyturn may not read it.'),
  KeyForeign: entry(422, 'The key is in another vault than the current key of the cluster.'),
  KeyInSameVault: entry(422, 'The key is in the vault of the current key of the cluster.'),
  KeyInUse: entry(422, 'A cluster needs the key.'),
  KeyNotEvicted: entry(422, 'The ledger does not show that the key left its slots.'),
  KeyAlreadyCurrent: entry(422, 'The cluster already uses this key.'),
  KeyDisabled: entry(422, 'The key is disabled.'),
  KeyExpired: entry(422, 'The key has expired.'),
  KeyExpiresSoon: entry(422, 'The key expires within a day.'),
  KeyNotYetValid: entry(422, 'The key is not valid yet.'),
  KeyTypeUnsupported: entry(422, 'The key is not an RSA key.'),
  KeyOperationsMissing: entry(422, 'The key does not permit encrypt and decrypt.'),
  IdentityLacksKeyAccess: entry(422, "The cluster's identity may not encrypt and decrypt with the key."),
  VaultNotOpen: entry(422, 'The vault is not open to all networks, as public access of AKS needs it.'),
  VnetIntegrationMissing: entry(
    422,
    'Private vault access needs API Server VNet Integration, which the cluster lacks.',
  ),
  VnetIntegrationNotNeeded: entry(422, 'Nothing needs API Server VNet Integration to be turned on.'),
  ClusterCannotStop: entry(422, 'AKS cannot stop the cluster, as API Server VNet Integration needs it.'),
  WebhooksPreventStop: entry(422, 'Admission webhooks would keep the cluster from stopping or starting.'),
  VaultNotSeen: entry(422, 'Keyturn does not see the vault in ARM, and private access needs its resource id.'),
  IdentityMayNotApproveEndpoint: entry(422, "The cluster's identity may not approve a private endpoint of the vault."),
  VaultNotReachable: entry(422, 'The vault does not answer from where Keyturn runs.'),
  VaultAccessAlready: entry(422, 'The cluster uses its vault in this way already.'),
  VaultInUse: entry(422, 'Other clusters need the public address of the vault.'),
  VaultNotFound: entry(422, 'The vault does not exist, or Keyturn may not read it.'),
  WorkspaceNotFound: entry(422, 'The workspace does not exist, or Keyturn may not read it.'),
  DiagnosticSettingDiffers: entry(422, 'A diagnostic setting of this name does something else.'),
  VaultNameTaken: entry(422, 'The name of the vault is in use elsewhere.'),
  VaultSoftDeleted: entry(422, 'A deleted vault has the name.'),
  ResourceGroupNotFound: entry(422, 'The resource group does not exist.'),
  VaultUnsuited: entry(422, 'The vault that is there is not as a cluster needs it.'),
  KeyUnsuited: entry(422, 'The key that is there cannot be used.'),
  KeySoftDeleted: entry(422, 'A deleted key has the name.'),
  ClusterExists: entry(422, 'The cluster exists already, or Keyturn does not see that it does not.'),
  KeyNameTaken: entry(422, 'The vault has a key of this name.'),
  IdentityNotSeen: entry(422, 'Keyturn may not read the managed identity, or there is no place for it.'),
  SubnetMissing: entry(422, 'Private vault access needs subnets for API servers, and for the nodes of a new cluster.'),
  CurrentKeyUnusable: entry(422, 'The current key of the cluster is not usable, so it cannot become the previous key.'),
  SecretsUnreadable: entry(422, 'The API server cannot read some Secrets.'),
  RewriteNotPermitted: entry(422, 'The cluster does not let Keyturn rewrite Secrets.'),
  KeyRotatedRecently: entry(409, 'The current key was set too recently.', { retryable: true }),
  NothingToRecover: entry(422, 'Azure shows nothing that keeps the cluster from using its keys.'),
  KeyPurged: entry(422, 'A key of the cluster was purged, and nothing brings it back.'),
  VaultPurged: entry(422, 'The vault of a key of the cluster was purged, and nothing brings it back.'),
  ExpiryTooSoon: entry(422, 'The expiry that is asked for is less than a day away.'),
  NamespaceNotFound: entry(422, 'The cluster has no such namespace.'),
  SecretsProviderDiffers: entry(422, 'The add-on for secrets of vaults is on with other settings.'),
  CsiDriverInstalledOtherwise: entry(422, 'The cluster has a Secrets Store CSI driver that AKS did not install.'),
  FederatedCredentialDiffers: entry(422, 'A federated credential of this name is for another issuer or subject.'),
  ServiceAccountDiffers: entry(422, 'The service account names another identity.'),
  ServiceConnectionDiffers: entry(422, 'A connection of this name goes elsewhere, or connections cannot be read.'),
  SecretProviderClassDiffers: entry(422, 'A SecretProviderClass of this name says something else.'),
  SecretProviderClassInUse: entry(422, 'Pods or other classes still need what would be removed.'),
  NotMadeByKeyturn: entry(422, 'What would be removed was not made by Keyturn.'),
  LedgerContradiction: entry(422, 'The ledger in the cluster cannot be read or continued.'),
  NodesScaledToZero: entry(422, 'The cluster has no nodes.', { retryable: true }),
  VaultInOtherTenant: entry(422, 'The vault is in another tenant than the cluster.'),
  VaultUnprotected: entry(422, 'The vault lacks soft delete or purge protection.'),
  VaultNotReachedByNodes: entry(422, 'The nodes of the cluster have no way to the vault.'),
  SecretsProviderIncomplete: entry(422, 'The add-on for secrets of vaults is on, and the cluster lacks a part of it.'),
  ChangeNotFound: entry(422, 'The change system does not have the change.'),
  ChangeWindowEnded: entry(422, 'The window of the change has ended.'),

  // While executing: the operation is blocked, a person decides
  ArmRequestRefused: entry(409, 'Azure refused the change to the cluster.'),
  ArmOperationFailed: entry(409, 'The long-running operation of Azure failed.'),
  ChangeNotApplied: entry(409, 'Azure accepted the change, but the cluster does not show it.', { retryable: true }),
  EntityTagMissing: entry(409, 'Azure gave no entity tag, so a change could not be fenced.', { retryable: true }),
  ClusterChangedOutside: entry(409, 'Another client changed the cluster while the operation ran.'),
  CanariesNotStill: entry(409, 'Something changes Secrets on every update, so canaries show nothing about keys.'),
  NotConverged: entry(409, 'Not every API server writes with the new key.', { retryable: true }),
  RewriteHadNoEffect: entry(409, 'Almost no Secret changed, although nearly all had to.'),
  SecretsUnproven: entry(409, 'Some Secrets are not proven to be under the new key.'),
  ResourceVersionWentBackwards: entry(409, 'Resource versions went backwards: etcd was restored from a backup.'),
  KeyNotReported: entry(409, 'Azure does not report the new key in a cluster that Succeeded.'),
  LockLost: entry(409, 'The operation lost the lock of the cluster.', { retryable: true }),
  ProofOutdated: entry(409, 'A proof could not be recorded in time.', { retryable: true }),
  NotSigned: entry(409, 'A request or a decision is not signed by the API.'),
  OutputNotSigned: entry(409, 'What an earlier step is said to have found is not signed by a worker.'),
  NotApproved: entry(409, 'A step lacks approvals that are signed and still count.'),
  PlanNotAsApproved: entry(409, 'The operation shows another plan than the one that its steps belong to.'),
  CreateKeyRefused: entry(409, 'The vault refused to make a new key version.'),
  KeyNotAsApproved: entry(409, 'The new key version is not like the key that the plan names.'),
  VaultRequestRefused: entry(409, 'The vault refused to answer.'),
  KeyNotDisabled: entry(409, 'The key version is not as a retirement left it.'),
  SoakNotOver: entry(409, 'The soak of the plan has not passed since the key version was disabled.', {
    retryable: true,
  }),
  DeleteKeyRefused: entry(409, 'The vault refused to disable or delete a key.'),
  EvidenceExists: entry(409, 'There is evidence of another operation with this id.'),
  ClusterAccessRefused: entry(409, 'The cluster refused what Keyturn needs to do.'),
  ClusterStorageFull: entry(409, "The cluster's etcd is full and stores nothing more."),
  RepairRefused: entry(409, 'Azure or the vault refused to repair a key, a vault or an identity.'),
  GrantRefused: entry(409, "Azure did not give the cluster's identity access to the key."),
  DiagnosticSinkTaken: entry(409, 'Another diagnostic setting of the vault has the workspace as its sink.'),
  VaultChangeRefused: entry(409, 'Azure refused the change to the vault.'),
  VaultNotAsApproved: entry(409, 'The vault is not as the plan names it.'),
  IdentityNotAsApproved: entry(409, 'The managed identity is not as the plan names it.'),
  ClusterNotAsApproved: entry(409, 'Another client made a cluster of the name of the new one.'),
  ReadGrantRefused: entry(409, 'Azure did not let the identity read the vault.'),
  ConnectionNotAsApproved: entry(409, 'A part of the connection to the vault is not as the plan names it.'),
  ConnectionRefused: entry(409, 'Azure refused a part of the connection to the vault.'),
  MountFailed: entry(409, 'A pod could not mount the SecretProviderClass.', { retryable: true }),
  MountDiffers: entry(409, 'What a pod mounted is not what the vault has.', { retryable: true }),
  RotationProbeRefused: entry(409, 'The vault refused the object that rotation is proven with.'),
  RotationFailed: entry(409, 'A mounted file did not follow a new version in the vault.', { retryable: true }),

  // Faults
  TemporalUnavailable: entry(503, 'Temporal does not answer.', { retryable: true }),
  WorkerUnavailable: entry(503, 'No worker answered in time.', { retryable: true }),
  AzureUnavailable: entry(503, 'Azure does not answer.', { retryable: true }),
  ClusterUnavailable: entry(503, "The cluster's API does not answer.", { retryable: true }),
  EvidenceKeyUnavailable: entry(503, 'The key that signs evidence cannot be used now.', { retryable: true }),
  AuditUnavailable: entry(503, 'The audit log cannot be written.', { retryable: true }),
  InternalError: entry(500, 'Something is wrong inside Keyturn.', { retryable: true }),
  IssuerUnavailable: entry(503, 'The issuer of access tokens does not answer.', { retryable: true }),
  WebhookNotDelivered: entry(503, 'The receiver of a webhook did not take an event.', { retryable: true }),
  WebhookGone: entry(410, 'The receiver of a webhook wants no more events.'),
} as const satisfies Record<string, ErrorEntry>;

/** A code of the error table. */
export type ErrorCode = keyof typeof ERRORS;

/** Whether a text is a code of the error table. */
export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** One thing that is wrong, in words for a person. */
export interface Fault {
  readonly code: ErrorCode;
  /** One sentence: what is wrong here, and what would help. */
  readonly detail: string;
  /** JSON Pointer (RFC 6901) into the request body, when a member of it is at fault. */
  readonly pointer?: string;
}
