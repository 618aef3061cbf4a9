/** What the steps of `domain/csi/steps.ts` give. */
import { z } from 'zod';
import { ArmOperation } from '../plan/arm-operation';
import { Receipt } from '../trust/receipts';
import { MountedFile } from './facts';

const armOperations = z.array(ArmOperation);
/** False: it was so already, or an earlier try did it. */
const changed = z.boolean();
const receipt = Receipt.optional();

/** One for each type of step. */
export const CSI_OUTPUTS = [
  z.object({ type: z.literal('enable-secrets-provider'), armOperations }),
  z.object({ type: z.literal('enable-workload-identity'), armOperations }),
  z.object({ type: z.literal('assign-node-identity'), changed, nodes: z.array(z.string()) }),
  z.object({ type: z.literal('create-federated-credential'), changed, issuer: z.string() }),
  /** More than one: the system-assigned identities of several scale sets. */
  z.object({ type: z.literal('grant-vault-read'), changed, principalIds: z.array(z.string()) }),
  z.object({ type: z.literal('create-service-connection'), changed }),
  z.object({ type: z.literal('create-service-account'), changed }),
  z.object({ type: z.literal('create-secret-provider-class'), changed }),
  /** Each file that the pod saw was equal to what the vault has. */
  z.object({ type: z.literal('prove-mount'), files: z.array(MountedFile), receipt }),
  /** The file of the probe followed from one version to the next. */
  z.object({ type: z.literal('prove-rotation'), probe: z.string(), from: z.string(), to: z.string(), receipt }),
  z.object({ type: z.literal('delete-secret-provider-class'), changed }),
  z.object({ type: z.literal('delete-service-account'), changed }),
  z.object({ type: z.literal('delete-federated-credential'), changed }),
  z.object({ type: z.literal('delete-service-connection'), changed }),
  z.object({ type: z.literal('disable-secrets-provider'), armOperations }),
] as const;
