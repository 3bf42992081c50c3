// What a terminal would leave standing of a tool's output, as lines of coloured pieces. The colours are parsed by anser; here is
// what moves the cursor: a line that is written over is what was written there last.
import Anser from "anser";

export interface AnsiStyle {
  /** Of tokens and decorations: `ansi-red ansi-bold`. */
  className: string;
  /** A colour that has no token, "r, g, b". */
  fg?: string;
  bg?: string;
}

export interface AnsiSpan {
  text: string;
  style: AnsiStyle | null;
}

export interface AnsiText {
  lines: AnsiSpan[][];
  /** Characters before the first line that are not in it. */
  omitted: number;
}

export interface AnsiBounds {
  /** UTF-16 units of the input that are looked at: its end. */
  maxChars: number;
  maxLines: number;
}

export const ANSI_BOUNDS: AnsiBounds = { maxChars: 256 * 1024, maxLines: 4_000 };

const MOST_COLOURS = 20_000; // changes of colour; behind them the text has the last one
const MOST_UP = 1_000;

// ECMA-48: control sequences (1: parameters, 2: final), operating system commands and other strings, two-character escapes, one
// that is cut by the end; then what moves within a line, and what has no shape.
const TOKENS = new RegExp([
  "\\x1b\\[([0-?]{0,64})[ -/]{0,8}([@-~])",
  "\\x1b[\\]PX^_][^\\x07\\x1b\\x9c\\n]{0,4096}(?:\\x07|\\x1b\\\\|\\x9c|(?=\\n)|$)",
  "\\x1b[ -/]{0,8}[0-Z\\\\^-~]",
  "\\x1b\\[[0-?]{0,64}$",
  "[\\n\\r\\x08]",
  "[\\0-\\x07\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]",
].join("|"), "g");

export function parseAnsi(input: string, { maxChars, maxLines }: AnsiBounds = ANSI_BOUNDS): AnsiText {
  let begin = Math.max(0, input.length - maxChars);
  if (begin > 0) {
    const line = input.indexOf("\n", begin); // not in the middle of a line, or of an escape
    begin = line >= 0 && line - begin < 4096 ? line + 1 : begin;
  }
  const text = begin > 0 ? input.slice(begin) : input;
  const screen = new Screen();
  let at = 0;
  TOKENS.lastIndex = 0;
  for (let match = TOKENS.exec(text); match; match = TOKENS.exec(text)) {
    if (match.index > at) {
      screen.print(text.slice(at, match.index));
    }
    at = TOKENS.lastIndex;
    screen.control(match[0], match[1], match[2]);
  }
  if (at < text.length) {
    screen.print(text.slice(at));
  }
  const { lines } = screen;
  const cut = Math.max(0, lines.length - maxLines);
  return { lines: cut > 0 ? lines.slice(cut) : lines, omitted: begin + lengthOf(lines.slice(0, cut)) };
}

/** The text alone, for copying and for what is announced. */
export function plainOf({ lines }: AnsiText): string {
  return lines.map((line) => line.map((span) => span.text).join("")).join("\n");
}

const lengthOf = (lines: AnsiSpan[][]): number =>
  lines.reduce((sum, line) => line.reduce((length, span) => length + span.text.length, sum + 1), 0);

class Screen {
  readonly lines: AnsiSpan[][] = [[]];
  private row = 0;
  private isOver = false; // at the line's beginning: what comes next is written over what stands there
  private style: AnsiStyle | null = null;
  private colours = 0;
  private readonly anser = new Anser();

  print(text: string): void {
    if (this.isOver) {
      this.lines[this.row] = [];
      this.isOver = false;
    }
    const line = this.lines[this.row]!;
    const last = line.at(-1);
    if (last && last.style === this.style) {
      last.text += text;
    } else {
      line.push({ text, style: this.style });
    }
  }

  control(all: string, parameters: string | undefined, final: string | undefined): void {
    if (final === undefined) {
      this.character(all);
      return;
    }
    const count = Math.min(MOST_UP, Math.max(1, Number.parseInt(parameters ?? "", 10) || 1));
    switch (final) {
      case "m":
        this.colour(parameters ?? "");
        break;
      case "K": // from the cursor on (0) nothing stands in what we keep; 1 and 2 leave nothing before it either
        if (parameters === "1" || parameters === "2") {
          this.lines[this.row] = [];
        } else if (this.isOver) {
          this.lines[this.row] = [];
          this.isOver = false;
        }
        break;
      case "A":
      case "F":
        this.row = Math.max(0, this.row - count);
        this.isOver = true;
        break;
      case "B":
      case "E":
        this.row = Math.min(this.lines.length - 1, this.row + count);
        this.isOver = true;
        break;
      case "G":
        this.isOver = count === 1;
        break;
      case "J":
        this.lines.length = this.row + 1;
        if (this.isOver || parameters === "2" || parameters === "3") {
          this.lines[this.row] = [];
        }
        break;
      case "C":
        this.print(" ".repeat(Math.min(count, 200)));
        break;
      default:
    }
  }

  private character(all: string): void {
    switch (all) {
      case "\n":
        this.row++;
        if (this.row === this.lines.length) {
          this.lines.push([]);
        }
        this.isOver = this.lines[this.row]!.length > 0;
        break;
      case "\r":
        this.isOver = true;
        break;
      case "\b": {
        const line = this.lines[this.row]!;
        const last = line.at(-1);
        if (last) {
          last.text = last.text.slice(0, -1);
          if (last.text === "") {
            line.pop();
          }
        }
        break;
      }
      default:
        // A terminal shows nothing of these; what turns the direction of text is named, since it could hide something.
        if (all.length === 1 && all > "\u0600") {
          this.print(`\\u{${all.codePointAt(0)!.toString(16)}}`);
        }
    }
  }

  private colour(parameters: string): void {
    if (++this.colours > MOST_COLOURS || !/^[\d;:]*$/.test(parameters)) {
      return;
    }
    const chunk = this.anser.processChunkJson(`${parameters.replaceAll(":", ";")}m.`, { json: true, use_classes: true } as never, true as never);
    this.style = styleOf(chunk as unknown as Chunk);
  }
}

interface Chunk {
  fg: string | null;
  bg: string | null;
  fg_truecolor: string | null;
  bg_truecolor: string | null;
  decorations: string[];
}

const known = new Map<string, AnsiStyle>(); // so that equal styles are one object, and neighbours join

function styleOf(chunk: Chunk): AnsiStyle | null {
  const isReverse = chunk.decorations.includes("reverse");
  const names = [chunk.fg, chunk.bg, chunk.fg_truecolor, chunk.bg_truecolor, ...chunk.decorations];
  if (names.every((name) => !name)) {
    return null;
  }
  const key = names.join("|");
  let style = known.get(key);
  if (!style) {
    const front = partOf(chunk.fg, chunk.fg_truecolor);
    const back = partOf(chunk.bg, chunk.bg_truecolor);
    const [fg, bg] = isReverse ? [back, front] : [front, back];
    const classes = chunk.decorations.map((name) => `ansi-${name}`);
    style = {
      className: [...(fg.name ? [`ansi-fg-${fg.name}`] : []), ...(bg.name ? [`ansi-bg-${bg.name}`] : []), ...classes].join(" "),
      ...(fg.rgb ? { fg: fg.rgb } : {}),
      ...(bg.rgb ? { bg: bg.rgb } : {}),
    };
    if (known.size < 4_000) {
      known.set(key, style);
    }
  }
  return style;
}

function partOf(name: string | null, truecolor: string | null): { name?: string; rgb?: string } {
  if (!name) {
    return {};
  }
  if (name === "ansi-truecolor") {
    return truecolor && /^\d{1,3}, \d{1,3}, \d{1,3}$/.test(truecolor) ? { rgb: truecolor } : {};
  }
  const palette = /^ansi-palette-(\d{1,3})$/.exec(name);
  return palette ? { rgb: paletteColour(Number(palette[1])) } : { name: name.replace(/^ansi-/, "") };
}

/** The colours 16 to 255: a cube of six steps a side, then greys. */
function paletteColour(index: number): string {
  if (index >= 232) {
    const grey = 8 + (index - 232) * 10;
    return `${grey}, ${grey}, ${grey}`;
  }
  const step = (level: number) => (level === 0 ? 0 : 55 + level * 40);
  const at = index - 16;
  return [Math.floor(at / 36), Math.floor(at / 6) % 6, at % 6].map(step).join(", ");
}

// ---- contrast ----

const LIGHT = 0.9; // relative luminance of the code background in the light theme, and in the dark one
const DARK = 0.012;
const WANTED = 4.5; // WCAG AA

const shades = new Map<string, { light: string; dark: string }>();

/** The nearest colours to "r, g, b" that can be read in the light and in the dark theme. */
export function readable(rgb: string): { light: string; dark: string } {
  let found = shades.get(rgb);
  if (!found) {
    const channels = rgb.split(", ").map((part) => Math.min(255, Number(part)));
    found = { light: mixed(channels, 0, LIGHT), dark: mixed(channels, 255, DARK) };
    if (shades.size < 4_000) {
      shades.set(rgb, found);
    }
  }
  return found;
}

function mixed(channels: number[], towards: number, background: number): string {
  for (let step = 0; step <= 10; step++) {
    const mix = channels.map((channel) => Math.round(channel + ((towards - channel) * step) / 10));
    if (step === 10 || contrast(luminance(mix), background) >= WANTED) {
      return `rgb(${mix.join(", ")})`;
    }
  }
  return "";
}

function luminance(channels: number[]): number {
  const [r = 0, g = 0, b = 0] = channels.map((channel) => {
    const value = channel / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const contrast = (a: number, b: number): number => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
