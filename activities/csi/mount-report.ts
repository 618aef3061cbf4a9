/** What the report of the pod means. Pure. */
import { z } from 'zod';
import { parseJson } from '../../azure/errors';
import type { MountedFile } from '../../domain/csi/facts';
import { fileOf, type CsiObject } from '../../domain/csi/objects';
import { needsPerson } from '../failures';
import { listed } from '../../domain/listed';
import { networkCause, type VaultHost } from './mount-words';

/** Pod and class as `namespace/name`. */
export interface PodNames {
  readonly pod: string;
  readonly class: string;
}

/** As the program writes it: index of the object, index in its history or -1, version, word. */
const Row = z.tuple([z.int().min(0), z.int().min(-1), z.string().regex(/^\w{0,64}$/), z.string().regex(/^\w{1,60}$/)]);
const Report = z.union([
  z.object({ failed: z.string().regex(/^\w{1,60}$/) }),
  /** With `of`: only what is not equal, of so many files. */
  z.object({ files: z.array(Row), of: z.int().optional() }),
]);

/** Words that say that the pod has something else than the vault. */
const OTHERWISE: readonly string[] = ['differs', 'ENOENT', 'ENOTDIR', 'NoSuchVersion'];

/**
 * The files of the pod, each equal to the vault.
 * @param detail how the container ended
 * @param at for sentences about the network
 * @throws ApplicationFailure `MountFailed`, `MountDiffers`, non-retryable
 */
export function judgeReport(
  { message, detail }: { readonly message: string; readonly detail: string },
  objects: readonly CsiObject[],
  names: PodNames,
  at: VaultHost,
): MountedFile[] {
  const report = Report.safeParse(parseJson(message)).data;
  if (report === undefined) {
    throw failed(
      names,
      `the program of the pod left no report (${detail}). Its image must have Node.js 18 or newer as "node".`,
    );
  }
  if ('failed' in report) {
    throw failed(
      names,
      `the pod could not read the vault itself: ${report.failed}. It needs the same network and identity as the mount.${networkCause(report.failed, at)}`,
    );
  }
  const { files: rows, of } = report;
  const files = rows.flatMap(([index, at, version, word]) => {
    const object = objects[index];
    if (object === undefined) return [];
    const { objectName, objectType } = object;
    const file = at < 0 ? fileOf(object) : `${fileOf(object)}/${at}`;
    return [{ word, mounted: { file, objectName, objectType, version } }];
  });
  const differing = files.filter(({ word }) => OTHERWISE.includes(word));
  if (differing.length > 0) {
    throw needsPerson(
      'MountDiffers',
      `The pod ${names.pod} mounted the SecretProviderClass ${names.class}, and these files are not what the vault has: ${list(differing)}. Keys are as they were. A new version may have been written in between: retry. Otherwise look at the class and at the version that it names.`,
    );
  }
  const unread = files.filter(({ word }) => word !== 'equal');
  if (unread.length > 0) {
    const cause = networkCause(unread.map(({ word }) => word).join(' '), at);
    // The driver reads from the node, and a pod may leave by another subnet.
    const own = cause === '' ? '' : ` The mount itself worked: pods reach the vault in another way than nodes.${cause}`;
    throw failed(names, `these files could not be compared: ${list(unread)}.${own}`);
  }
  const seen = new Set(rows.map(([index]) => index));
  // Where all are equal and too many to name, each object is named once.
  if (of !== undefined) {
    return objects.map((object) => {
      const { objectName, objectType } = object;
      return { file: fileOf(object), objectName, objectType, version: '' };
    });
  }
  if (seen.size < objects.length) throw failed(names, 'the report of the pod does not name every object.');
  return files.map(({ mounted }) => mounted);
}

function failed({ pod, class: name }: PodNames, why: string): Error {
  return needsPerson(
    'MountFailed',
    `The pod ${pod} mounted the SecretProviderClass ${name}, and ${why} So it is not known whether pods get what the vault has; keys are as they were. Remove the cause, then retry.`,
  );
}

function list(files: readonly { readonly word: string; readonly mounted: MountedFile }[]): string {
  return listed(
    files.map(
      ({ word, mounted: { file, objectType, objectName } }) => `${file} (${objectType} ${objectName}: ${word})`,
    ),
  );
}
