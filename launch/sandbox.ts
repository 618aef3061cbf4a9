/** The sandbox as a child process, and what other processes need in their environment to take it for Azure. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { startNodeProcess } from './node-process';
import type { Child } from '../tools/child-process';

const Person = z.object({ name: z.string(), roles: z.array(z.string()), objectId: z.string(), token: z.string() });

/** What the sandbox says of itself when it is ready. */
export const SandboxFacts = z.object({
  proxyUrl: z.string(),
  caFile: z.string(),
  tenantId: z.string(),
  subscriptionId: z.string(),
  /** A second subscription of the same tenant, with nothing in it. */
  otherSubscriptionId: z.string(),
  clientId: z.string(),
  clientSecret: z.string(),
  clientObjectId: z.string(),
  people: z.object({ requester: Person, approver1: Person, approver2: Person, reader: Person }),
  serviceNow: z.object({
    url: z.string(),
    clientId: z.string(),
    clientSecret: z.string(),
    user: z.string(),
    password: z.string(),
  }),
  control: z.object({ url: z.string(), token: z.string() }),
});
/** What the sandbox says of itself. */
export type SandboxFacts = z.infer<typeof SandboxFacts>;

/** A running sandbox. */
export interface SandboxProcess {
  readonly child: Child;
  readonly facts: SandboxFacts;
  /** For processes that are to use the sandbox as Azure. */
  readonly env: NodeJS.ProcessEnv;
}

/** Starts a sandbox in a folder. @param options.authorityDirectory folder of a CA that exists already */
export async function startSandboxProcess(options: {
  readonly directory: string;
  readonly logFile: string;
  readonly authorityDirectory?: string;
}): Promise<SandboxProcess> {
  const authority = options.authorityDirectory === undefined ? [] : ['--authority', options.authorityDirectory];
  const { child, said } = await startNodeProcess({
    name: 'sandbox',
    script: 'sandbox/main.js',
    args: ['--directory', options.directory, ...authority],
    env: process.env,
    logFile: options.logFile,
  });
  const facts = SandboxFacts.parse(said);
  return { child, facts, env: sandboxEnvironment(facts) };
}

/** The sandbox ends an API server within seconds of its replacement, and says only then that the change of the encryption has succeeded. */
const DRAIN_IN_SECONDS = '5';

/** Variables that make the real Azure SDKs, with default constructors, talk to the sandbox, and what its clusters are like. */
export function sandboxEnvironment(facts: SandboxFacts): NodeJS.ProcessEnv {
  return {
    HTTPS_PROXY: facts.proxyUrl,
    NO_PROXY: '127.0.0.1,localhost',
    NODE_EXTRA_CA_CERTS: facts.caFile,
    AZURE_TENANT_ID: facts.tenantId,
    AZURE_CLIENT_ID: facts.clientId,
    AZURE_CLIENT_SECRET: facts.clientSecret,
    KEYTURN_TENANT_ID: facts.tenantId,
    KEYTURN_API_SERVER_DRAIN_SECONDS: DRAIN_IN_SECONDS,
  };
}

/** The certificate authority that signs the sandbox's certificates, as PEM. */
export function authorityOf(facts: SandboxFacts): string {
  return readFileSync(facts.caFile, 'utf8');
}
