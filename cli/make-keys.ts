/**
 * `npm run make-keys`: makes the key that the API signs requests and decisions with, and puts its public half where workers read it.
 * What is there stays. For installations whose API and worker start apart; `npm start` and the demo do the same by themselves.
 */
import { Command } from 'commander';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { openSigningKey, publicKeyFile } from '../evidence/key';
import { runCommand, say } from './terminal';

const command = new Command('npm run make-keys --')
  .description('Makes the key that the API signs with. What is there stays.')
  .option('--key <file>', 'private key (PEM), for the API alone', path.join('.keyturn', 'api-key.pem'))
  .option('--public <file>', 'where workers read the public key; default: beside the private one')
  .parse();

async function main(): Promise<number> {
  const { key: keyFile, public: wanted } = command.opts<{ key: string; public?: string }>();
  const { keyId } = await openSigningKey(keyFile, { create: true, use: 'api' });
  const target = wanted ?? publicKeyFile(keyFile);
  if (path.resolve(target) !== path.resolve(publicKeyFile(keyFile))) {
    await mkdir(path.dirname(target), { recursive: true });
    await copyFile(publicKeyFile(keyFile), target);
  }
  say(
    `Key ${keyId}`,
    `Private, for the API: ${keyFile}`,
    `Public, for KEYTURN_API_PUBLIC_KEYS of the workers: ${target}`,
  );
  return 0;
}

runCommand(main);
