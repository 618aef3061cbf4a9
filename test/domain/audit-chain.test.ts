/** The audit log holds against every change of its bytes but one, which is said in docs/security.md. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { auditActor, nextLine, readLine, type AuditEvent, type AuditHead } from '../../domain/audit';
import { auditFaults, readAuditFile, witnessedIn, type Witnessed } from '../../domain/audit-chain';

const TIME = '2026-01-01T00:00:00.000Z';
const by = { tenantId: 't', objectId: 'o', name: 'Åsa "\u2028"', type: 'user' as const };

/** Two files of which the second saw the first, with this many lines each, and the head of the second. */
function logOf(first: number, second: number): { readonly texts: Map<string, string>; readonly head: AuditHead } {
  const texts = new Map<string, string>();
  let seen: AuditHead[] = [];
  for (const [file, count] of [
    ['audit/a', first],
    ['audit/b', second],
  ] as const) {
    let head: { seq: number; hash: string } | undefined;
    const lines: string[] = [];
    for (let index = 0; index < count; index++) {
      const asked: AuditEvent = {
        event: 'asked',
        requestId: `r${index}`,
        action: 'approveOperation',
        by,
        comment: 'ß\n',
      };
      const event: AuditEvent =
        index === 0 ? { event: 'opened', format: 'keyturn-audit/1', writer: 'api', seen } : asked;
      const line = nextLine(event, TIME, head);
      head = line;
      lines.push(`${line.text}\n`);
    }
    if (head) seen = [{ file, seq: head.seq, hash: head.hash }];
    texts.set(file, lines.join(''));
  }
  const [head] = seen;
  if (!head) throw new Error('The log has no lines.');
  return { texts, head };
}

function faultsOf(texts: ReadonlyMap<string, string>, beyond: readonly Witnessed[]) {
  const files = [...texts].map(([name, text]) => readAuditFile(name, text));
  return auditFaults(files, [...witnessedIn(files), ...beyond]);
}

/** One change of a file's text. */
const mutation: fc.Arbitrary<(text: string) => string> = fc.oneof(
  fc.tuple(fc.nat(), fc.constantFrom('0', 'a', '"', ' ', '\n', '{')).map(([at, byte]) => (text: string) => {
    const place = at % text.length;
    return `${text.slice(0, place)}${byte}${text.slice(place + 1)}`;
  }),
  fc.nat().map((at) => (text: string) => text.slice(0, at % text.length)),
  fc.tuple(fc.nat(), fc.nat()).map(([from, to]) => (text: string) => {
    const lines = text.split('\n').slice(0, -1);
    const [line = ''] = lines.splice(from % lines.length, 1);
    lines.splice(to % (lines.length + 1), 0, line);
    return `${lines.join('\n')}\n`;
  }),
  fc.nat().map((at) => (text: string) => {
    const lines = text.split('\n').slice(0, -1);
    lines.splice(at % lines.length, 1);
    return lines.map((line) => `${line}\n`).join('');
  }),
  fc.nat().map((at) => (text: string) => {
    const lines = text.split('\n').slice(0, -1);
    const place = at % lines.length;
    lines.splice(place, 0, lines[place] ?? '');
    return `${lines.join('\n')}\n`;
  }),
);

describe('the audit log', () => {
  it('is good as it was written', () => {
    const { texts, head } = logOf(5, 4);
    expect(faultsOf(texts, [{ head, by: 'op-1.json' }])).toEqual([]);
  });

  it('shows every single change, in whichever file, when the last line was seen by evidence', () => {
    const { texts, head } = logOf(5, 4);
    fc.assert(
      fc.property(fc.constantFrom('audit/a', 'audit/b'), mutation, (file, change) => {
        const before = texts.get(file) ?? '';
        const after = change(before);
        fc.pre(after !== before);
        const faults = faultsOf(new Map([...texts, [file, after]]), [{ head, by: 'op-1.json' }]);
        expect(faults.map((fault) => fault.file)).toContain(file);
      }),
      { numRuns: 400 },
    );
  });

  it('shows a file that is missing, and one that was written anew with hashes that fit', () => {
    const { texts, head } = logOf(5, 4);
    expect(faultsOf(new Map([['audit/b', texts.get('audit/b') ?? '']]), [])).toMatchObject([
      { file: 'audit/a', why: 'The file is missing; audit/b saw 5 lines of it.' },
    ]);
    const forged = logOf(6, 1).texts.get('audit/a') ?? '';
    const lines = forged.split('\n');
    expect(faultsOf(new Map([...texts, ['audit/a', `${lines.slice(0, 3).join('\n')}\n`]]), [])).toMatchObject([
      { file: 'audit/a', line: 4 },
    ]);
    const opened: AuditEvent = { event: 'opened', format: 'keyturn-audit/1', writer: 'worker', seen: [] };
    const other = nextLine(opened, TIME, undefined);
    const anew = Array.from({ length: 4 }).reduce<{ text: string; head: typeof other }>(
      ({ text, head: last }) => {
        const line = nextLine({ event: 'asked', requestId: 'x', action: 'denyOperation', by }, TIME, last);
        return { text: `${text}${line.text}\n`, head: line };
      },
      { text: `${other.text}\n`, head: other },
    );
    expect(faultsOf(new Map([...texts, ['audit/a', anew.text]]), [{ head, by: 'e' }])).toMatchObject([
      { file: 'audit/a', line: 5, why: expect.stringContaining('written anew') },
    ]);
  });

  it('does not show that the end of the newest file is missing, before somebody saw it', () => {
    const { texts, head } = logOf(5, 4);
    const cut = `${(texts.get('audit/b') ?? '').split('\n').slice(0, 2).join('\n')}\n`;
    expect(faultsOf(new Map([...texts, ['audit/b', cut]]), [])).toEqual([]);
    expect(faultsOf(new Map([...texts, ['audit/b', cut]]), [{ head, by: 'op-1.json' }])).toMatchObject([
      { file: 'audit/b', line: 3, why: 'Lines are missing at the end; op-1.json saw 4.' },
    ]);
  });

  it('takes no member that it does not know and no text without bounds, and names people in lower case', () => {
    const asked = { event: 'asked', requestId: 'r', action: 'approveOperation', by } as const;
    expect(() => nextLine({ ...asked, token: 'eyJ' } as AuditEvent, TIME, undefined)).toThrow();
    expect(() => nextLine({ ...asked, comment: 'x'.repeat(501) }, TIME, undefined)).toThrow();
    expect(readLine(nextLine(asked, TIME, undefined).text)).toMatchObject({ seq: 1, previous: null, event: asked });
    expect(auditActor({ ...by, tenantId: 'ABC', objectId: 'DEF' })).toMatchObject({ tenantId: 'abc', objectId: 'def' });
  });
});
