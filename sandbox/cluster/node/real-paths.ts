/** Where the paths that a container knows are on this machine: there is no container around its command. Pure. */
import { join } from 'node:path';

/** The paths of one container. */
export class RealPaths {
  readonly #real: ReadonlyMap<string, string>;

  /** @param real real paths by the paths that the container knows: of its mounts, and of its termination message */
  constructor(real: ReadonlyMap<string, string>) {
    // A mount in a mount: the longer path is the one that counts.
    this.#real = new Map([...real].sort(([one], [other]) => other.length - one.length));
  }

  /** The real path, when the whole text is a path that the container knows, or one below it; else the text itself. */
  realOf(text: string): string {
    for (const [known, real] of this.#real) {
      if (text === known) return real;
      if (text.startsWith(known.endsWith('/') ? known : `${known}/`)) return join(real, text.slice(known.length));
    }
    return text;
  }

  /** A text of the command with the container's paths in the place of the real ones: what it says when it finds no file. */
  shown(text: string): string {
    return [...this.#real].reduce((shown, [known, real]) => shown.replaceAll(real, known), text);
  }
}
