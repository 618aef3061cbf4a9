/** Which identity a SecretProviderClass has the provider use. */
import { z } from 'zod';

/** Who reads the vault. */
export const ClassIdentity = z.discriminatedUnion('mode', [
  /** A federated credential of the pod's service account. */
  z.object({ mode: z.literal('workload-identity'), clientId: z.string() }),
  /** An identity of the nodes; without `clientId` their system-assigned one. */
  z.object({ mode: z.literal('managed-identity'), clientId: z.string().optional() }),
]);
/** Who reads the vault. */
export type ClassIdentity = z.infer<typeof ClassIdentity>;
