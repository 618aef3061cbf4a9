/**
 * The program that runs in the pod which proves rotation: it waits until the file of the probe is what the newest version of the vault has.
 *
 * Needs: the variables of `RotationEnvironment`, and what pod-reader.ts needs.
 * Does: looks at file and vault again and again. Time counts from the moment at which the vault has another version than the first one.
 * Never does: write a value anywhere. What leaves the pod is one version and one word.
 */
import type * as Fs from 'node:fs';
import type { CsiObject } from '../../domain/csi/objects';
import { programText, type Load, type PodEnvironment, type PodReader } from './pod-reader';

/** The variables of the program. None is secret. */
export interface RotationEnvironment extends PodEnvironment {
  /** The probe: a `CsiObject` as JSON. */
  readonly KEYTURN_PROBE: string;
  /** The version that the vault had when the pod was made. */
  readonly KEYTURN_FIRST_VERSION: string;
  /** How long the file may take, in milliseconds. */
  readonly KEYTURN_LIMIT_IN_MS: string;
}

/** The whole text for `node -e`. */
export function rotationProgramText(): string {
  return programText(awaitRotation);
}

/** Refers to nothing outside of itself: its text is all that the pod gets. */
async function awaitRotation(load: Load, process: NodeJS.Process, reader: PodReader): Promise<void> {
  const { of, wordOf, versionIn, collections, open } = reader;
  const fs = load('node:fs') as typeof Fs;
  const limitInMs = Number(of('KEYTURN_LIMIT_IN_MS'));
  const everyMs = Math.max(200, Math.min(5_000, limitInMs / 50));
  const first = of('KEYTURN_FIRST_VERSION');
  const probe = JSON.parse(of('KEYTURN_PROBE')) as CsiObject;
  const path = `/${collections[probe.objectType]}/${probe.objectName}/`;
  const file = `${of('KEYTURN_MOUNT')}/${probe.objectAlias || probe.objectName}`;

  /** The newest version of the vault, and whether the file is what it has. */
  const look = async (): Promise<{ version: string; same: boolean }> => {
    const { read, isSame } = await open();
    const bundle = await read(path);
    const version = versionIn(bundle['id'] ?? (bundle['key'] as Record<string, unknown> | undefined)?.['kid']);
    const content = fs.readFileSync(file);
    const same = await isSame(probe, bundle, version, content).catch(() => false);
    return { version, same };
  };
  let report: { version: string; word: string } | undefined;
  let newSince: number | undefined;
  let failingSince: number | undefined;
  while (report === undefined) {
    const now = performance.now();
    try {
      const { version, same } = await look();
      failingSince = undefined;
      if (version !== first) {
        newSince ??= now;
        if (same) report = { version, word: 'equal' };
        else if (now - newSince > limitInMs) report = { version, word: 'unchanged' };
      }
    } catch (error) {
      failingSince ??= now;
      if (now - failingSince > limitInMs) report = { version: '', word: wordOf(error) };
    }
    if (report === undefined) await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  fs.writeFileSync(of('KEYTURN_REPORT'), JSON.stringify(report));
  process.exitCode = report.word === 'equal' ? 0 : 1;
}
