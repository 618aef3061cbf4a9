import { it } from '@jest/globals';
import fc from 'fast-check';
import { AS_PRODUCT } from './behaviour';
import { breachesOf, play, stories, type Story } from './stories';
it('x', () => {
  const r = fc.check(
    fc.property(stories(), (story) => breachesOf(story, AS_PRODUCT).length === 0),
    { numRuns: Number(process.env.N ?? 2500), seed: Number(process.env.S ?? 1) },
  );
  if (!r.failed) return console.log('HOLDS', r.numRuns);
  const story = r.counterexample![0] as Story;
  const lines: string[] = [JSON.stringify(story.beginning)];
  (globalThis as any).TRACE = (w: any, e: any) =>
    lines.push(
      JSON.stringify(e) +
        '\n    ' +
        JSON.stringify({
          slots: w.machine.slots,
          servers: w.machine.cluster.servers.map((s: any) => s.writesWith),
          rec: [...w.machine.cluster.etcd.records].map(([n, x]: any) => n + ':' + x.storedUnder),
          led: w.machine.ledger?.generations.map((g: any) => [g.keyId, g.state, g.origin[0]].join('/')),
          step: w.where,
          untold: [...w.untold],
        }),
    );
  const w = play(story, AS_PRODUCT);
  console.log(
    r.numRuns +
      '\n' +
      lines.join('\n').replaceAll('https://kv1.vault.azure.net/keys/k1/0000000000000000000000000000000', 'K') +
      JSON.stringify(w.breaches).replaceAll('https://kv1.vault.azure.net/keys/k1/0000000000000000000000000000000', 'K'),
  );
});
