/**
 * Makes the gRPC clients of API servers before 1.28 acceptable to Node's HTTP/2.
 *
 * Those send the path of the unix socket as `:authority` (later ones say `localhost`: grpc.WithAuthority in apiserver's
 * kmsv2/grpc_service.go). A path has slashes, which nghttp2 refuses as a protocol error; Go's own server takes it.
 *
 * Does: puts `localhost` in the place of a long `:authority` where it is sent literally (RFC 7541, 6.2). Later requests
 *       refer to it by its index, which stays right: the receiver's table has the same entries in the same order, and a
 *       shorter value only makes it forget later than the sender.
 * Never does: touch anything else. Blocks with padding or continuations, which these clients do not send, pass as they are.
 */

/** What every HTTP/2 client says first (RFC 9113, 3.4). */
const PREFACE_LENGTH = 24;
const FRAME_HEADER_LENGTH = 9;
const HEADERS_FRAME = 0x1;
const FLAG_END_HEADERS = 0x4;
const FLAG_PADDED = 0x8;
const FLAG_PRIORITY = 0x20;
const PRIORITY_LENGTH = 5;
/** Of the static table (RFC 7541, appendix A). */
const AUTHORITY_INDEX = 1;
/** A string literal without Huffman code. */
const LOCALHOST = Buffer.from('\x09localhost', 'latin1');

/** The filter of one connection. */
export interface AuthorityFilter {
  /** @returns what may be passed on now; the rest of an unfinished frame waits for the next chunk */
  pass(chunk: Buffer): Buffer;
}

/** Makes a filter for what one client sends, from its first byte on. */
export function authorityFilter(): AuthorityFilter {
  let waiting: Buffer = Buffer.alloc(0);
  let prefaceLeft = PREFACE_LENGTH;
  return {
    pass(chunk) {
      waiting = Buffer.concat([waiting, chunk]);
      const preface = waiting.subarray(0, prefaceLeft);
      prefaceLeft -= preface.length;
      waiting = waiting.subarray(preface.length);
      const passed = [preface];
      while (waiting.length >= FRAME_HEADER_LENGTH) {
        const end = FRAME_HEADER_LENGTH + waiting.readUIntBE(0, 3);
        if (waiting.length < end) break;
        passed.push(filtered(waiting.subarray(0, end)));
        waiting = waiting.subarray(end);
      }
      return Buffer.concat(passed);
    },
  };
}

function filtered(frame: Buffer): Buffer {
  const flags = frame.readUInt8(4);
  const isWhole = (flags & FLAG_END_HEADERS) !== 0 && (flags & FLAG_PADDED) === 0;
  if (frame.readUInt8(3) !== HEADERS_FRAME || !isWhole) return frame;
  const start = FRAME_HEADER_LENGTH + ((flags & FLAG_PRIORITY) === 0 ? 0 : PRIORITY_LENGTH);
  const block = withLocalhost(frame.subarray(start));
  const header = Buffer.from(frame.subarray(0, start));
  header.writeUIntBE(start - FRAME_HEADER_LENGTH + block.length, 0, 3);
  return Buffer.concat([header, block]);
}

/** Goes over the fields of a header block; their values need not be decoded for that. */
function withLocalhost(block: Buffer): Buffer {
  let at = 0;
  while (at < block.length) {
    const first = block.readUInt8(at);
    const isIndexed = (first & 0x80) !== 0;
    const isSizeUpdate = (first & 0xe0) === 0x20;
    const prefixBits = isIndexed ? 7 : (first & 0x40) !== 0 ? 6 : isSizeUpdate ? 5 : 4;
    const field = integerAt(block, at, prefixBits);
    at = field.end;
    if (isIndexed || isSizeUpdate) continue;
    if (field.value === 0) at = stringEnd(block, at);
    const end = stringEnd(block, at);
    // Shorter ones are no paths; and a longer replacement would let the receiver forget too early.
    if (field.value === AUTHORITY_INDEX && end - at > LOCALHOST.length) {
      return Buffer.concat([block.subarray(0, at), LOCALHOST, block.subarray(end)]);
    }
    at = end;
  }
  return block;
}

/** RFC 7541, 5.1. */
function integerAt(block: Buffer, at: number, prefixBits: number): { readonly value: number; readonly end: number } {
  const limit = 2 ** prefixBits - 1;
  let value = block.readUInt8(at) & limit;
  let end = at + 1;
  if (value < limit) return { value, end };
  for (let shift = 0; ; shift += 7) {
    const byte = block.readUInt8(end++);
    value += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) return { value, end };
  }
}

/** RFC 7541, 5.2. */
function stringEnd(block: Buffer, at: number): number {
  const { value, end } = integerAt(block, at, 7);
  return end + value;
}
