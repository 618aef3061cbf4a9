/** Shows an operation while it goes on: a line for each change, and at a terminal a bar for the step that runs. */
import { SingleBar } from 'cli-progress';
import type { Operation } from '../client/client';
import { cleanLine } from './clean';
import { MARKS } from '../../domain/progress';
import { statusLine, type Step } from './operation';
import type { Output } from './output';

/** Shows one operation. */
export class LiveView {
  readonly #shown = new Map<string, string>();
  #status = '';
  #bar: SingleBar | undefined;

  constructor(private readonly output: Output) {}

  /** Shows what is new. */
  show(operation: Operation): void {
    const lines = [...this.#steps(operation), ...this.#statusLines(operation)];
    if (lines.length > 0) {
      this.#clearBar();
      for (const line of lines) this.output.note(line);
    }
    this.#showBar(operation);
  }

  /** Leaves the terminal as it was. */
  end(): void {
    this.#clearBar();
  }

  #statusLines(operation: Operation): string[] {
    const line = statusLine(operation);
    if (line === this.#status) return [];
    this.#status = line;
    return [line];
  }

  #steps({ steps }: Operation): string[] {
    return steps.flatMap((step, index) => {
      const line = stepLine(step, index, steps.length);
      if (step.status === 'pending' || this.#shown.get(step.id) === line) return [];
      this.#shown.set(step.id, line);
      return [line];
    });
  }

  #showBar({ progress }: Operation): void {
    if (!this.output.isLive || progress === null || progress.total === 0) {
      this.#clearBar();
      return;
    }
    const { done, total, perSecond, etaInSeconds } = progress;
    const payload = {
      rate: perSecond === undefined ? '' : `, ${Math.round(perSecond)} a second`,
      left: etaInSeconds === undefined ? '' : `, about ${Math.ceil(etaInSeconds)} s left`,
    };
    if (this.#bar === undefined) {
      this.#bar = new SingleBar({
        format: '{bar} {value} of {total}{rate}{left}',
        barCompleteChar: '█',
        barIncompleteChar: '░',
        barsize: 30,
        hideCursor: true,
        clearOnComplete: true,
        // The process ends by itself; the bar must not end it.
        gracefulExit: false,
      });
      this.#bar.start(total, done, payload);
    } else {
      this.#bar.setTotal(total);
      this.#bar.update(done, payload);
    }
  }

  #clearBar(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

function stepLine({ title, status, attempt, result }: Step, index: number, count: number): string {
  const again = attempt === undefined ? '' : ` (try ${attempt})`;
  const outcome = result === undefined ? '' : ` — ${cleanLine(result)}`;
  return `${MARKS[status]} ${index + 1}/${count} ${cleanLine(title)}${again}${outcome}`;
}
