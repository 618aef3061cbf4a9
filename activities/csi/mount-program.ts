/**
 * The program that runs in Keyturn's pod: it compares the files of a mount with the vault, as the identity of the pod.
 *
 * Needs: the variables of `MountEnvironment`, and what pod-reader.ts needs.
 * Does: reads each object and its history itself, and compares the bytes.
 * Never does: write a value, a hash of a value, or a token anywhere. What leaves the pod is indexes, versions and words.
 */
import type * as Fs from 'node:fs';
import type { CsiObject } from '../../domain/csi/objects';
import { programText, type Bundle, type Load, type PodEnvironment, type PodReader } from './pod-reader';

/** The variables of the program. None is secret. */
export interface MountEnvironment extends PodEnvironment {
  /** `CsiObject[]` as JSON. */
  readonly KEYTURN_OBJECTS: string;
}

/** The whole text for `node -e`. */
export function mountProgramText(): string {
  return programText(compareMount);
}

/** Refers to nothing outside of itself: its text is all that the pod gets. */
async function compareMount(load: Load, process: NodeJS.Process, reader: PodReader): Promise<void> {
  const { of, wordOf, versionIn, collections, open } = reader;
  const fs = load('node:fs') as typeof Fs;
  // A termination message holds 4096 bytes.
  const MOST_BYTES = 4000;
  interface Version {
    readonly version: string;
    readonly created: number;
  }
  /** Index of the object, index in its history or -1, version, `equal`, `differs` or another word. */
  type Row = [number, number, string, string];

  const main = async (): Promise<Row[]> => {
    const objects = JSON.parse(of('KEYTURN_OBJECTS')) as CsiObject[];
    const { read, isSame } = await open();
    const compare = async (object: CsiObject, wanted: string, file: string): Promise<[string, string]> => {
      let version = wanted;
      try {
        const bundle = await read(`/${collections[object.objectType]}/${object.objectName}/${wanted}`);
        version = versionIn(bundle['id'] ?? (bundle['key'] as Bundle | undefined)?.['kid']);
        const content = fs.readFileSync(`${of('KEYTURN_MOUNT')}/${file}`);
        // A file that is no certificate or key at all differs.
        const same = await isSame(object, bundle, version, content).catch((error: unknown) => {
          if ((error as { word?: string }).word !== undefined) throw error;
          return false;
        });
        return [version, same ? 'equal' : 'differs'];
      } catch (error) {
        return [version, wordOf(error)];
      }
    };
    /** The versions of an object, newest first. */
    const versionsOf = async ({ objectType, objectName }: CsiObject): Promise<Version[]> => {
      const versions: Version[] = [];
      let next: string | undefined = `/${collections[objectType]}/${objectName}/versions`;
      while (next) {
        const page: Bundle = await read(next);
        for (const one of page['value'] as Bundle[]) {
          const { created, enabled } = one['attributes'] as { created: number; enabled?: boolean };
          if (enabled !== false) versions.push({ version: versionIn(one['id'] ?? one['kid']), created });
        }
        next = page['nextLink'] as string | undefined;
      }
      return versions.reverse().sort((one, other) => other.created - one.created);
    };
    const history = async (object: CsiObject, index: number, file: string): Promise<Row[]> => {
      const all = await versionsOf(object);
      const from = Math.max(
        0,
        all.findIndex(({ version }) => version === object.objectVersion),
      );
      const versions = all.slice(from);
      // The provider stops one version later than the class says; both are fine.
      const files = fs.readdirSync(`${of('KEYTURN_MOUNT')}/${file}`).filter((name) => /^\d+$/.test(name)).length;
      const rows: Row[] = [];
      for (let at = 0; at < Math.max(files, Math.min(object.objectVersionHistory ?? 0, versions.length)); at++) {
        // A vault counts seconds: versions of the same one have no order.
        const same = versions.filter(({ created }) => created === versions[at]?.created);
        let result: [string, string] = ['', 'NoSuchVersion'];
        for (const { version } of same) {
          result = await compare(object, version, `${file}/${at}`);
          if (result[1] !== 'differs') break;
        }
        rows.push([index, at, ...result]);
      }
      return rows;
    };
    const rows: Row[] = [];
    for (const [index, object] of objects.entries()) {
      const file = object.objectAlias || object.objectName;
      if ((object.objectVersionHistory ?? 0) > 1) {
        rows.push(
          ...(await history(object, index, file).catch((error: unknown): Row[] => [[index, -1, '', wordOf(error)]])),
        );
      } else rows.push([index, -1, ...(await compare(object, object.objectVersion ?? '', file))]);
    }
    return rows;
  };

  let report: { files?: Row[]; failed?: string };
  try {
    report = { files: await main() };
  } catch (error) {
    report = { failed: wordOf(error) };
  }
  const { files = [] } = report;
  const texts = [
    report,
    { files: files.map(([index, at, , word]) => [index, at, '', word]) },
    // Too many even so: what is not equal counts.
    { files: files.filter(([, , , word]) => word !== 'equal').slice(0, 50), of: files.length },
  ].map((one) => JSON.stringify(one));
  fs.writeFileSync(
    of('KEYTURN_REPORT'),
    texts.find((text) => text.length <= MOST_BYTES) ?? '{"failed":"ReportTooLong"}',
  );
  process.exitCode = files.length > 0 && files.every(([, , , word]) => word === 'equal') ? 0 : 1;
}
