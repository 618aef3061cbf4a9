/**
 * Reads the text of a policy file.
 *
 * Does: says everything that is wrong with it, each with line and column.
 * Never does: guess. A member that it does not know, a key twice and an unknown kind are faults.
 */
import { isCollection, isMap, isNode, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { Policy } from './policy';

/** Of a file; a policy is a few kilobytes. */
const MOST_CHARACTERS = 1_000_000;

/** What a text gives: the policy, or a sentence for each fault, `line:column: …`. */
export type PolicyRead =
  | { readonly policy: Policy; readonly faults: readonly [] }
  | { readonly policy: null; readonly faults: readonly string[] };

/** Reads a policy. */
export function readPolicy(text: string): PolicyRead {
  if (text.length > MOST_CHARACTERS) return refused([`1:1: The file has more than ${MOST_CHARACTERS} characters.`]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${Math.max(line, 1)}:${Math.max(col, 1)}`;
  };
  if (document.errors.length > 0)
    return refused(document.errors.map(({ pos, message }) => `${at(pos[0])}: ${message}`));
  let content: unknown;
  try {
    content = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return refused([`1:1: ${(error as Error).message}`]);
  }
  const parsed = Policy.safeParse(content);
  if (parsed.success) return { policy: parsed.data, faults: [] };
  const faults = parsed.error.issues.flatMap((issue) => {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : [];
    const where = pathText(issue.path);
    if (unknown.length === 0) {
      const offset = offsetOf(document, issue.path);
      return [{ offset, text: `${at(offset)}: ${where === '' ? '' : `${where}: `}${issue.message}` }];
    }
    return unknown.map((key) => {
      const offset = offsetOfKey(document, issue.path, key);
      return { offset, text: `${at(offset)}: ${where === '' ? '' : `${where}: `}There is no member "${key}" here.` };
    });
  });
  return refused(faults.sort((a, b) => a.offset - b.offset).map((fault) => fault.text));
}

function refused(faults: readonly string[]): PolicyRead {
  return { policy: null, faults };
}

/** Where the value at a path begins; where it is missing, the nearest that is there. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node = nodeAt(document, path.slice(0, length));
    if (node?.range) return node.range[0];
  }
  return 0;
}

function offsetOfKey(document: Document, path: readonly PropertyKey[], key: string): number {
  const map = nodeAt(document, path);
  const pair = isMap(map) ? map.items.find((item) => isScalar(item.key) && String(item.key.value) === key) : undefined;
  return isNode(pair?.key) && pair.key.range ? pair.key.range[0] : offsetOf(document, path);
}

function nodeAt(document: Document, path: readonly PropertyKey[]): Node | undefined {
  let node: unknown = document.contents;
  for (const part of path) {
    if (!isCollection(node)) return undefined;
    node = node.get(part, true);
  }
  return isNode(node) ? node : undefined;
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}
