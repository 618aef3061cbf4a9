/** Just enough DER (X.690) for PKCS #12 files: writing values, and reading them back as a tree. Pure. */

/** Universal tags that PKCS #12 needs. */
export const TAGS = { integer: 0x02, octets: 0x04, nil: 0x05, oid: 0x06, sequence: 0x30, set: 0x31, explicit: 0xa0 };

/** A value that was read. */
export interface DerNode {
  readonly tag: number;
  /** The content, without tag and length. */
  readonly content: Buffer;
  /** What is inside a constructed value; empty for others. */
  readonly children: readonly DerNode[];
}

/** Writes one value around its contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(content.length), content]);
}

export const sequence = (...contents: readonly Uint8Array[]): Buffer => der(TAGS.sequence, ...contents);
export const octets = (content: Uint8Array): Buffer => der(TAGS.octets, content);
export const explicit = (content: Uint8Array): Buffer => der(TAGS.explicit, content);

/** A small integer that is not negative. */
export function integer(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return der(TAGS.integer, (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

/** An object identifier from its dotted text. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(TAGS.oid, Buffer.from(bytes));
}

/** Reads one value and all that is inside. @throws Error when the bytes end too early */
export function readDer(bytes: Buffer): DerNode {
  return readAt(bytes, 0).node;
}

function readAt(bytes: Buffer, at: number): { readonly node: DerNode; readonly end: number } {
  const tag = byteAt(bytes, at);
  let length = byteAt(bytes, at + 1);
  let start = at + 2;
  if (length > 0x80) {
    const count = length & 0x7f;
    length = bytes.readUIntBE(start, count);
    start += count;
  }
  const end = start + length;
  if (end > bytes.length) throw new Error('The DER value is cut off.');
  const content = bytes.subarray(start, end);
  const children: DerNode[] = [];
  if ((tag & 0x20) !== 0) {
    for (let next = 0; next < content.length;) {
      const child = readAt(content, next);
      children.push(child.node);
      next = child.end;
    }
  }
  return { node: { tag, content, children }, end };
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new Error('The DER value is cut off.');
  return byte;
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}
