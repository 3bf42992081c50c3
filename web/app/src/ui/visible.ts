// What is not seen, or turns the direction of what is behind it, made visible: people decide by this text. Pure.

/** A piece of a text: as it is, or one character that would not be seen for what it is. */
export type Piece = { text: string; hidden?: undefined } | { text: string; hidden: { mark: string; name: string } };

/** A piece of a sentence: ours, or `code`, which is somebody's text, to be shown as it is. */
export type Phrase = string | { code: string };

// Controls (but for line feed and tab), soft hyphen, combining grapheme joiner, fillers, invisible operators, bidirectional
// controls, zero widths, line and paragraph separators, tags, variation selectors, halves of surrogates. The one list of them.
const INVISIBLE =
  "\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f" +
  "\\u3164\\ufe00-\\ufe0e\\ufeff\\uffa0\\ufff9-\\ufffb\\u{e0000}-\\u{e01ef}\\ud800-\\udfff";
// Blanks that are none to a shell. In prose, and in the texts of files, they are what they look like.
const BLANKS = "\\xa0\\u1680\\u2000-\\u200a\\u202f\\u205f\\u2800\\u3000";

const HIDDEN = new RegExp(`[${INVISIBLE}]`, "gu");
const HIDDEN_OR_BLANK = new RegExp(`[${INVISIBLE}${BLANKS}]`, "gu");

const NAMES: { [code: number]: string } = {
  0x00: "null", 0x07: "bell", 0x08: "backspace", 0x0d: "carriage return", 0x1b: "escape", 0x7f: "delete", 0xa0: "no-break space",
  0xad: "soft hyphen", 0x61c: "Arabic letter mark", 0x200b: "zero width space", 0x200c: "zero width non-joiner",
  0x200d: "zero width joiner", 0x200e: "left-to-right mark", 0x200f: "right-to-left mark", 0x2028: "line separator",
  0x2029: "paragraph separator", 0x202a: "left-to-right embedding", 0x202b: "right-to-left embedding",
  0x202c: "end of embedding", 0x202d: "left-to-right override", 0x202e: "right-to-left override", 0x2060: "word joiner",
  0x2066: "left-to-right isolate", 0x2067: "right-to-left isolate", 0x2068: "first strong isolate", 0x2069: "end of isolate",
  0xfeff: "zero width no-break space",
};

function nameOf(code: number): string {
  const known = NAMES[code];
  if (known) {
    return known;
  }
  if (code < 0x20 || (code >= 0x80 && code < 0xa0)) {
    return "control character";
  }
  if (code >= 0xd800 && code <= 0xdfff) {
    return "half a character";
  }
  if (code >= 0xe0000 && code < 0xe0080) {
    return "tag character";
  }
  return (code >= 0x2000 && code <= 0x200a) || [0x1680, 0x202f, 0x205f, 0x2800, 0x3000].includes(code) ? "another kind of blank" : "invisible character";
}

// A zero width joiner between two pictures makes one picture of them.
function joinsEmoji(text: string, at: number): boolean {
  return text[at] === "\u200d" && /\p{Extended_Pictographic}[\ufe0f\u{1f3fb}-\u{1f3ff}]?$/u.test(text.slice(Math.max(0, at - 5), at))
    && /^\p{Extended_Pictographic}/u.test(text.slice(at + 1, at + 3));
}

/** The text in pieces, in order; together they have every character of it. For what is run: other blanks count as hidden, too. */
export function visiblePieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const found of text.matchAll(HIDDEN_OR_BLANK)) {
    if (joinsEmoji(text, found.index)) {
      continue;
    }
    if (found.index > from) {
      pieces.push({ text: text.slice(from, found.index) });
    }
    const code = found[0].codePointAt(0)!;
    pieces.push({ text: found[0], hidden: { mark: escape(found[0]), name: nameOf(code) } });
    from = found.index + found[0].length;
  }
  if (from < text.length) {
    pieces.push({ text: text.slice(from) });
  }
  return pieces;
}

/** How many characters of the text would not be seen for what they are. */
export function hiddenCount(text: string): number {
  return visiblePieces(text).filter(({ hidden }) => hidden).length;
}

/** The same as a plain string, for titles, labels and what is read aloud. */
export function visibleText(text: string): string {
  return visiblePieces(text).map(({ text: piece, hidden }) => (hidden ? hidden.mark : piece)).join("");
}

const escape = (character: string): string => `\\u{${character.codePointAt(0)!.toString(16)}}`;

/** What is not seen, or turns the direction of what is behind it, as an escape. For prose and the texts of files. */
export function plainToSee(text: string): string {
  return text.replace(HIDDEN, (found, at: number) => (joinsEmoji(text, at) ? found : escape(found)));
}
