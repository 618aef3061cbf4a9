/** What a worker says of its surroundings, for `GET /v1/doctor`: the API has neither its clock, nor its key, nor its rights in Azure. */
import { z } from 'zod';

/** What a worker says. */
export const WorkerReport = z.object({
  /** The clock of the worker, ISO 8601. */
  at: z.string(),
  /** `sha256:…` of the public key that evidence is signed with. */
  signingKeyId: z.string(),
  /** How it signs; absent of an earlier worker. */
  signing: z.object({ algorithm: z.string(), vaultKeyId: z.string().optional() }).optional(),
  azure: z.union([
    z.object({
      /** Keyturn's own object id in Entra. */
      objectId: z.string(),
      /** AKS clusters that it can list. */
      clusters: z.int(),
      /** Subscriptions that it sees, and whose clusters it may not list. */
      refusedSubscriptions: z.array(z.string()),
    }),
    /** Why Azure could not be asked, in one sentence. */
    z.object({ failed: z.string() }),
  ]),
});
/** What a worker says. */
export type WorkerReport = z.infer<typeof WorkerReport>;
