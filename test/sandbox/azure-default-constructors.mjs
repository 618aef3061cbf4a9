/**
 * Real Azure SDKs with default constructors, in a process of its own: only the environment points at the sandbox.
 * Run by azure-proxy.test.ts; prints one line of JSON.
 */
import { ContainerServiceClient } from '@azure/arm-containerservice';
import { ClientSecretCredential } from '@azure/identity';
import { KeyClient } from '@azure/keyvault-keys';

const [tenantId, clientId, subscriptionId, vaultUrl] = process.argv.slice(2);
const credential = new ClientSecretCredential(tenantId, clientId, process.env.CLIENT_SECRET);
const key = await new KeyClient(vaultUrl, credential).createRsaKey('from-outside');
const names = [];
for await (const cluster of new ContainerServiceClient(credential, subscriptionId).managedClusters.list()) {
  names.push(cluster.name);
}
process.stdout.write(`${JSON.stringify({ keyId: key.id, clusters: names })}\n`);
