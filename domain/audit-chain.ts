/** Checks the files of the audit log: each by itself, and each against what others saw of it. Pure: the files are given. */
import { readLine, type AuditHead, type AuditLine } from './audit';

/** Something that is wrong with the log. */
export interface AuditFault {
  readonly file: string;
  /** From 1; the line after the last one when lines are missing at the end. */
  readonly line: number;
  /** One sentence. */
  readonly why: string;
}

/** A file, read. */
export interface AuditFile {
  readonly name: string;
  /** Up to the first line that is wrong. */
  readonly lines: readonly AuditLine[];
  readonly fault?: AuditFault;
}

/** A line that somebody saw: another file of the log, or evidence. */
export interface Witnessed {
  readonly head: AuditHead;
  /** Who saw it, to complete "… saw it". */
  readonly by: string;
}

/** Reads a file: every line as it was written, whole, and after the line that it names. */
export function readAuditFile(name: string, content: string): AuditFile {
  const texts = content.split('\n');
  const rest = texts.pop() ?? '';
  const lines: AuditLine[] = [];
  const broken = (why: string): AuditFile => ({ name, lines, fault: { file: name, line: lines.length + 1, why } });
  for (const text of texts) {
    const line = readLine(text);
    if (typeof line === 'string') return broken(line);
    const before = lines.at(-1);
    if (line.seq !== lines.length + 1) return broken(`It is line ${line.seq} of the file, in another place.`);
    if (line.previous !== (before?.hash ?? null)) return broken('The line before it is another one than it names.');
    if ((line.event.event === 'opened') !== (before === undefined)) return broken('Only the first line opens a file.');
    lines.push(line);
  }
  if (rest !== '') return broken('It is cut off. It may never have been whole: then what it tells did not count.');
  if (lines.length === 0) return broken('The file is empty.');
  return { name, lines };
}

/** What the files saw of each other. */
export function witnessedIn(files: readonly AuditFile[]): Witnessed[] {
  return files.flatMap(({ name, lines }) => {
    const opened = lines[0]?.event;
    return opened?.event === 'opened' ? opened.seen.map((head) => ({ head, by: name })) : [];
  });
}

/**
 * Everything that is wrong with the log, the first fault of each file.
 * @param witnessed lines that must be there: those that the files name, and those that evidence names
 */
export function auditFaults(files: readonly AuditFile[], witnessed: readonly Witnessed[]): AuditFault[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const faults = new Map<string, AuditFault>();
  for (const { fault } of files) if (fault) faults.set(fault.file, fault);
  for (const { head, by } of witnessed) {
    const { file, seq, hash } = head;
    if (faults.has(file)) continue;
    const lines = byName.get(file)?.lines;
    if (lines === undefined)
      faults.set(file, { file, line: 1, why: `The file is missing; ${by} saw ${seq} lines of it.` });
    else if (lines.length < seq)
      faults.set(file, { file, line: lines.length + 1, why: `Lines are missing at the end; ${by} saw ${seq}.` });
    else if (lines[seq - 1]?.hash !== hash)
      faults.set(file, { file, line: seq, why: `${by} saw another line here: the file was written anew.` });
  }
  return [...faults.values()].sort((a, b) => (a.file < b.file ? -1 : 1));
}
