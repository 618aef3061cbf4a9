/**
 * The process of the other client: `node dist/bench/other-client.js KUBECONFIG PATH SAMPLES`, until SIGTERM.
 *
 * Does: GETs one object 20 times a second over one kept HTTP/2 connection and writes when and how long, one JSON line each.
 * Never does: send the next request late because the last one was slow: that would leave out just the slow times.
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { Client } from 'undici';
import { readAccess } from './cluster-access';
import type { OtherClientSample } from './other-clients';

const INTERVAL_IN_MS = 50;
const ANSWER_TIMEOUT_IN_MS = 65_000;

function main([kubeconfig, objectPath, samplesFile]: readonly (string | undefined)[]): void {
  if (kubeconfig === undefined || objectPath === undefined || samplesFile === undefined) {
    throw new Error('Usage: node dist/bench/other-client.js KUBECONFIG PATH SAMPLES');
  }
  process.title = 'keyturn-bench-other-client';
  const { server, ca, token } = readAccess(kubeconfig);
  const client = new Client(server, {
    headersTimeout: ANSWER_TIMEOUT_IN_MS,
    bodyTimeout: ANSWER_TIMEOUT_IN_MS,
    connect: { ca },
    // As client-go does: many requests at a time on one connection, so that none waits for the answer to another.
    allowH2: true,
  });
  const ask = async (): Promise<void> => {
    const at = Date.now();
    const startedAt = performance.now();
    const ok = await client
      .request({ method: 'GET', path: objectPath, headers: { authorization: `Bearer ${token}` } })
      .then(async ({ statusCode, body }) => {
        await body.dump();
        return statusCode === 200;
      })
      .catch(() => false);
    const sample: OtherClientSample = { at, ms: ok ? performance.now() - startedAt : null };
    appendFileSync(samplesFile, `${JSON.stringify(sample)}\n`);
  };
  writeFileSync(samplesFile, '');
  let due = performance.now();
  const askWhenDue = (): void => {
    // A timer that comes late makes up for the beats that it missed.
    for (; due <= performance.now(); due += INTERVAL_IN_MS) void ask();
    setTimeout(askWhenDue, due - performance.now());
  };
  process.once('SIGTERM', () => process.exit(0));
  // The first request opens the connection and is not part of the measurement.
  void ask().then(() => {
    writeFileSync(samplesFile, '');
    due = performance.now();
    askWhenDue();
    process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  });
}

main(process.argv.slice(2));
