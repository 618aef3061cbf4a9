/**
 * Convergence: does every API server of a cluster write with the target?
 *
 * Needs: canaries that were written before the switch, or, when no switch was made, canaries at all.
 * Does: sends no-op patches to canaries, each over a new connection, and reads what the servers themselves report. Ends when
 *       both agree, and when servers that were replaced have ended; where the servers report nothing, the result says how it is
 *       weaker (`weaknesses`).
 * Never does: count a probe without an answer.
 * Sources: DESIGN.md section 7; research note rotation-systems.md 1.3 and 9.
 */
import { allRestarted, type Baseline, type Convergence } from '../domain/convergence';
import { describeTarget, type EncryptionTarget } from '../domain/encryption';
import type { RewriteMethod } from '../domain/proof';
import { CanaryWatch } from './canary-watch';
import type { WaitProgress } from './contract';
import { needsPerson } from './failures';
import type { KubeConnection } from './kubernetes/connection';
import { KubeError } from './kubernetes/errors';
import { countSecrets } from './kubernetes/secret-list';
import { heartbeating, sleep, type Running } from './running';
import { readServers, type ServerReport } from './server-report';

/** What to wait for. */
export interface ConvergenceInput {
  readonly target: EncryptionTarget;
  readonly operationId: string;
  /** Absent when no switch was made: then the servers only have to agree. */
  readonly baseline?: Baseline;
}

/** How long to wait, and how many probes must agree. */
export interface ConvergenceLimits {
  /** Without convergence after this long, the operation is blocked and asks a person. */
  readonly deadlineInMs: number;
  readonly pollInMs: number;
  /** This many probes in a row must change nothing. */
  readonly stillProbes: number;
  /** KMS v1: if no canary has changed for this long after every server was restarted, canaries will not change at all. */
  readonly silenceInMs: number;
  /**
   * How long after the start of an API server the one that it replaced may still answer, on connections that clients opened before:
   * no new connection meets it, and no lease or metric shows it. Rc is not taken earlier (decision 042).
   */
  readonly drainInMs: number;
}

/** What operations use: AKS rolls a control plane in minutes. */
export const CONVERGENCE_LIMITS: ConvergenceLimits = {
  deadlineInMs: 30 * 60_000,
  pollInMs: 1_000,
  stillProbes: 20,
  silenceInMs: 5 * 60_000,
  drainInMs: 5 * 60_000,
};

/** What shows convergence. */
interface Conclusion {
  readonly report: ServerReport;
  readonly method: RewriteMethod;
  readonly weaknesses: readonly string[];
}

/** A conclusion, and how long before it an API server may last have been replaced, in ms. */
type Drained = Conclusion & { readonly quietForInMs: number };

type Step = { readonly done: true; readonly conclusion: Drained } | { readonly done: false; readonly waitsFor: string };

/**
 * Waits until every API server writes with the target, then records Rc. Heartbeats what it waits for.
 * @throws ApplicationFailure `NotConverged`, non-retryable, at the deadline: it names what it waits for; `CanariesNotStill`,
 *         non-retryable, when something changes the content of canaries again and again
 * @throws KubeError when the cluster refuses a probe outright
 */
export async function awaitConvergence(
  connection: KubeConnection,
  input: ConvergenceInput,
  running: Running,
  limits: ConvergenceLimits,
): Promise<Convergence> {
  let waitsFor = 'a first answer of an API server';
  return await heartbeating(
    running,
    (): WaitProgress => ({ waitsFor }),
    () => converge(connection, input, running.signal, limits, (text) => (waitsFor = text)),
  );
}

async function converge(
  connection: KubeConnection,
  input: ConvergenceInput,
  signal: AbortSignal,
  limits: ConvergenceLimits,
  tell: (waitsFor: string) => void,
): Promise<Convergence> {
  const watch = new CanaryWatch(connection, input.operationId, input.baseline?.canaries, signal);
  const startedAt = Date.now();
  for (;;) {
    let waitsFor: string;
    try {
      const step = await nextStep({ watch, connection, input, limits, signal, waitedInMs: Date.now() - startedAt });
      if (step.done)
        return {
          baselineRv: input.baseline?.baselineRv ?? null,
          ...(await conclude(connection, watch, limits, step.conclusion, signal)),
        };
      waitsFor = step.waitsFor;
    } catch (error) {
      // While servers roll, connections break and requests fail. That is no answer; the next try may get one.
      if (!(error instanceof KubeError) || !error.transient || error.storageFull) throw error;
      waitsFor = `an answer (${error.message})`;
    }
    tell(waitsFor);
    if (Date.now() - startedAt > limits.deadlineInMs) {
      throw needsPerson(
        'NotConverged',
        `After ${Math.round(limits.deadlineInMs / 1000)} s not every API server is seen to write with ${describeTarget(input.target)}. ` +
          `Still waiting for: ${waitsFor}. Nothing was rewritten. Keep all keys enabled. Look at the API servers and at the key's permissions, then retry.`,
      );
    }
    await sleep(limits.pollInMs, signal);
  }
}

async function conclude(
  connection: KubeConnection,
  watch: CanaryWatch,
  { stillProbes }: ConvergenceLimits,
  { report, method, weaknesses, quietForInMs }: Drained,
  signal: AbortSignal,
): Promise<Omit<Convergence, 'baselineRv'>> {
  const { resourceVersion } = await countSecrets(connection, { signal });
  return {
    convergedRv: resourceVersion,
    probes: watch.probes,
    stillProbes,
    flips: watch.flips,
    contentChanges: watch.contentChanges,
    quietForInMs: Math.floor(quietForInMs),
    leases: [...report.leases],
    processes: [...report.processes],
    metrics: report.metrics === 'confirmed' ? 'confirmed' : 'unavailable',
    method,
    weaknesses: [...weaknesses],
  };
}

/** What a look is taken with. */
interface Context {
  readonly watch: CanaryWatch;
  readonly connection: KubeConnection;
  readonly input: ConvergenceInput;
  readonly limits: ConvergenceLimits;
  readonly signal: AbortSignal;
  readonly waitedInMs: number;
}

async function nextStep(context: Context): Promise<Step> {
  const { watch, connection, input, limits, signal, waitedInMs } = context;
  const { target, baseline } = input;
  const unswitched = await watch.probeUnswitched();
  const still = unswitched.length === 0 && (await watch.isStill(limits.stillProbes));
  const report = await readServers(connection, target, signal);

  if (unswitched.length > 0) {
    const canaries = `a change of the ${unswitched.length === 1 ? 'canary' : 'canaries'} ${unswitched.join(', ')}`;
    if (target.scheme === 'kms-v1' && baseline !== undefined && !watch.sawSwitch) {
      return silentStep({ context, report, baseline, canaries, silent: waitedInMs >= limits.silenceInMs });
    }
    return waiting(canaries, report);
  }
  if (!still) {
    const foreign =
      watch.contentChanges === 0 ? '' : `; something changed the content of canaries ${watch.contentChanges} times`;
    return waiting(`API servers that agree (they stored canaries again ${watch.flips} times${foreign})`, report);
  }
  if (report.metrics === 'confirmed') return whenDrained(context, { report, method: 'no-op', weaknesses: [] });
  if (report.metrics === 'waiting') {
    // A server shows its key in the metrics only when it has written something.
    await watch.touch(report.leases.length);
    return { done: false, waitsFor: report.why };
  }
  if (!watch.sawSwitch) {
    const gone =
      watch.contentChanges === 0
        ? 'no canary from before the switch is left'
        : 'something changed the content of canaries, which says nothing about keys';
    const waitsFor = `metrics, or an API server that stores a canary again with the same content, because ${gone} (${report.why})`;
    return { done: false, waitsFor };
  }
  // Without a switch, it is unknown whether this KMS v1 has a provider name for each key.
  const method = target.scheme === 'kms-v1' && baseline === undefined ? 'forced' : 'no-op';
  const unlessShared = method === 'forced' ? ' If all keys share one provider name, canaries show nothing.' : '';
  const weakness = `${report.why} Keyturn concludes from canaries alone that every API server writes with ${describeTarget(target)}: ${limits.stillProbes} probes over new connections changed nothing.${unlessShared}`;
  return whenDrained(context, { report, method, weaknesses: [weakness] });
}

/** Ends the wait, unless an API server was replaced so short a time ago that it may still store what old connections bring. */
function whenDrained(
  { watch, limits: { drainInMs } }: Pick<Context, 'watch' | 'limits'>,
  conclusion: Conclusion,
): Step {
  const quietForInMs = quietFor(watch, conclusion.report);
  if (quietForInMs >= drainInMs) return { done: true, conclusion: { ...conclusion, quietForInMs } };
  const [quiet, drain] = [quietForInMs, drainInMs].map((ms) => Math.floor(ms / 1000));
  const waitsFor = `the end of API servers that were replaced: the last sign of a change is ${quiet} s old, and up to ${drain} s after it such a server may store Secrets under another key, for clients that are still connected to it`;
  return { done: false, waitsFor };
}

/**
 * How long ago an API server may last have been replaced, in ms: since the youngest was started, or, where that is not known, since
 * a canary changed; and since two servers disagreed.
 */
function quietFor(watch: CanaryWatch, { youngestInMs }: ServerReport): number {
  return Math.max(0, Math.min(youngestInMs ?? watch.unchangedForInMs, watch.agreedForInMs));
}

/** KMS v1 and no canary changes: either no API server has switched yet, or both keys are behind one provider name. */
function silentStep({
  context,
  report,
  baseline,
  canaries,
  silent,
}: {
  readonly context: Context;
  readonly report: ServerReport;
  readonly baseline: Baseline;
  readonly canaries: string;
  readonly silent: boolean;
}): Step {
  const restarted = allRestarted(baseline.processes, report.processes);
  if (silent && restarted) {
    const weakness =
      'With KMS v1 no record looked stale to any API server, as when both keys share one provider name. Keyturn concludes that every API server writes with the new key only because all of them were started after the baseline. So the key is not called proven, and every Secret is rewritten with a changed annotation.';
    return whenDrained(context, { report, method: 'forced', weaknesses: [weakness] });
  }
  return {
    done: false,
    waitsFor: restarted
      ? `${canaries}, or enough silence to conclude that KMS v1 has one provider name for both keys`
      : `${canaries}, or a restart of every API server, which would show a switch behind one provider name of KMS v1`,
  };
}

/** What is missing, with the names of the servers where they report it. */
function waiting(what: string, report: ServerReport): Step {
  return { done: false, waitsFor: report.metrics === 'waiting' ? `${what}; ${report.why}` : what };
}
