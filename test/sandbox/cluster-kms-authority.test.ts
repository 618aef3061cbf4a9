import { describe, expect, test } from '@jest/globals';
import { authorityFilter } from '../../sandbox/cluster/kms-authority';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = frame(0x4, 0, Buffer.alloc(0));
const PATH = '/tmp/kt-cluster/kms/0123456789ab.sock';

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header.writeUInt8(type, 3);
  header.writeUInt8(flags, 4);
  header.writeUInt32BE(1, 5);
  return Buffer.concat([header, payload]);
}

/** A header block as Go's client writes it: indexed fields, then literals with a name from the table and with a new one. */
function block(authority: string): Buffer {
  return Buffer.concat([
    Buffer.of(0x83, 0x86),
    Buffer.of(0x41, authority.length),
    Buffer.from(authority),
    Buffer.from('\x40\x02te\x08trailers', 'latin1'),
  ]);
}

const headers = (authority: string, flags = 0x4): Buffer => frame(0x1, flags, block(authority));

describe('the filter of KMS clients', () => {
  test('puts localhost in the place of a socket path and leaves everything else as it is', () => {
    const data = frame(0x0, 0x1, Buffer.from(`data with ${PATH} in it`));
    const passed = authorityFilter().pass(Buffer.concat([PREFACE, SETTINGS, headers(PATH), data]));
    expect(passed).toEqual(Buffer.concat([PREFACE, SETTINGS, headers('localhost'), data]));
  });

  test('does the same when bytes arrive one by one', () => {
    const filter = authorityFilter();
    const sent = Buffer.concat([PREFACE, SETTINGS, headers(PATH), SETTINGS]);
    const passed = [...sent].map((byte) => filter.pass(Buffer.of(byte)));
    expect(Buffer.concat(passed)).toEqual(Buffer.concat([PREFACE, SETTINGS, headers('localhost'), SETTINGS]));
  });

  test('finds the authority behind long values', () => {
    const long = Buffer.concat([Buffer.of(0x40, 0x01, 0x61, 0x7f, 0xc9, 0x01), Buffer.alloc(0x7f + 0xc9, 'x')]);
    const sent = frame(0x1, 0x4, Buffer.concat([long, block(PATH)]));
    const passed = authorityFilter().pass(Buffer.concat([PREFACE, sent]));
    expect(passed).toEqual(Buffer.concat([PREFACE, frame(0x1, 0x4, Buffer.concat([long, block('localhost')]))]));
  });

  test('leaves a name that is no path, and a block that goes on in another frame', () => {
    for (const sent of [headers('localhost'), headers('a'), headers(PATH, 0)]) {
      expect(authorityFilter().pass(Buffer.concat([PREFACE, sent]))).toEqual(Buffer.concat([PREFACE, sent]));
    }
  });
});
