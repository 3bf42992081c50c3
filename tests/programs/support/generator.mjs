// The scripted agent's generator (bench/scripted-agent/README.md).
const ascii = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .'];
const unicode = ['a', 'b', ' ', '\n', '\u00e9', '\u00df', '\u0436', '\u05d0', '\u20ac', '\u6f22', '\u2028',
  '\u200d', 'e\u0301', '\u{1f600}', '\u{1f469}', '\u{1f1e9}\u{1f1ea}'];
const escape = ['a', 'B', '0', ' ', '"', '\\', '/', '\n', '\r', '\t', '\b', '\x01', '<', '&', '\x7f', '`'];
const alphabets = { ascii, unicode, escape };

export class Generator {
  constructor(seed = 1) {
    this.state = seed >>> 0 || 0x9e3779b9;
  }

  next() {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }

  // `size` is a number of bytes or [min, max]
  chunk(size, alphabet = 'ascii') {
    let left = size;
    if (Array.isArray(size)) {
      const [min, max] = size;
      left = max > min ? min + (this.next() % (max - min + 1)) : min;
    }
    const symbols = alphabets[alphabet];
    const shift = symbols.length === 64 ? 26 : 28;
    let text = '';
    while (left > 0) {
      const symbol = symbols[this.next() >>> shift];
      const bytes = symbols === ascii ? 1 : Buffer.byteLength(symbol);
      text += bytes <= left ? symbol : '.';
      left -= bytes <= left ? bytes : 1;
    }
    return text;
  }
}
