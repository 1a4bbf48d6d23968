// Pictures made in code: PNGs of any size, with whatever chunks a test wants in them.

import * as zlib from 'node:zlib';

const TABLE = Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

/** Node.js has one only since 20.15. */
const crc32 = zlib.crc32 ?? ((bytes) => {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
});

const chunk = (type, data) => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
};

/** `paint(x, y)` gives [red, green, blue]; `texts` go into tEXt chunks. */
export const png = (width, height, paint, texts = []) => {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8); // eight bits, red green blue
  const rows = Buffer.alloc(height * (1 + width * 3));
  let at = 0;
  for (let y = 0; y < height; y++) {
    at++;
    for (let x = 0; x < width; x++) for (const value of paint(x, y)) rows[at++] = value;
  }
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', header),
    ...texts.map((text) => chunk('tEXt', Buffer.from(`Comment\0${text}`, 'latin1'))),
    chunk('IDAT', zlib.deflateSync(rows, { level: 9 })), chunk('IEND', Buffer.alloc(0)),
  ]);
};

/** A square of one colour with a lighter disc in it. */
export const disc = (edge, [red, green, blue], texts) => png(edge, edge, (x, y) => {
  const isIn = Math.hypot(x - edge / 2, y - edge * 0.55) < edge * 0.3;
  return isIn ? [red + 70, green + 70, blue + 70].map((value) => Math.min(255, value)) : [red, green, blue];
}, texts);
