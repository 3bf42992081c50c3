// What the server's theme file makes of the page's colours. Pure; theme.ts applies it.

export type Scheme = "light" | "dark";

/** The colours that a theme file may set: the tokens of ui/tokens.css. */
export const COLOURS = [
  "bg", "surface", "surface-2", "surface-3", "line", "line-strong", "text", "text-2", "text-3",
  "accent", "accent-strong", "accent-ink", "accent-soft", "good", "good-soft", "warn", "warn-soft", "bad", "bad-soft", "info", "info-soft",
  "code-bg", "diff-add", "diff-add-strong", "diff-del", "diff-del-strong", "focus",
] as const;
export type Colour = (typeof COLOURS)[number];
type Colours = { [name in Colour]?: string };

export interface ServerTheme {
  /** What the page calls itself; "" where the file says nothing. */
  name: string;
  light: Colours;
  dark: Colours;
}

export const NO_THEME: ServerTheme = { name: "", light: {}, dark: {} };

const LONGEST_NAME = 40;
const LONGEST_COLOUR = 100;
// Colours only: nothing that refers to something else or could fetch it.
const COLOUR = /^(#[0-9a-f]{3,8}|[a-z]{3,30}|(rgb|rgba|hsl|hsla|hwb|lab|lch|oklab|oklch|color)\([-+0-9a-z.,%/ ]*\))$/i;
const WORDS = new Set(["inherit", "initial", "unset", "revert", "currentcolor", "transparent", "none", "auto"]);

/**
 * What there is to use in a theme file's object. `isColour` is the browser's own opinion (CSS.supports). Members that are not
 * known, and values that are no colour, are ignored: a theme of a later version, or with a mistake, takes nothing away.
 */
export function parseTheme(json: unknown, isColour: (text: string) => boolean = () => true): ServerTheme {
  const file = objectOf(json);
  const colours = (from: { [name: string]: unknown }): Colours => {
    const found: Colours = {};
    for (const name of COLOURS) {
      const value = Object.hasOwn(from, name) ? from[name] : undefined;
      const text = typeof value === "string" ? value.trim() : "";
      if (text.length <= LONGEST_COLOUR && COLOUR.test(text) && !WORDS.has(text.toLowerCase()) && isColour(text)) {
        found[name] = text;
      }
    }
    return found;
  };
  const both = colours(file);
  const name = typeof file.name === "string" ? file.name.trim().slice(0, LONGEST_NAME) : "";
  return { name, light: withDerived({ ...both, ...colours(objectOf(file.light)) }), dark: withDerived({ ...both, ...colours(objectOf(file.dark)) }) };
}

const objectOf = (value: unknown): { [name: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as { [name: string]: unknown }) : {};

// Who sets an accent and no more gets the colours that go with it.
function withDerived(colours: Colours): Colours {
  const { accent } = colours;
  return accent === undefined ? colours : {
    "accent-strong": `color-mix(in srgb, ${accent} 82%, var(--text))`,
    "accent-soft": `color-mix(in srgb, ${accent} 14%, var(--surface))`,
    focus: accent,
    ...colours,
  };
}

/** The custom properties that a theme sets: `--accent` and its value. */
export function propertiesOf(theme: ServerTheme, scheme: Scheme): Map<string, string> {
  return new Map(COLOURS.flatMap((name): [string, string][] => {
    const value = theme[scheme][name];
    return value === undefined ? [] : [[`--${name}`, value]];
  }));
}

/** Black or white, whichever is read better on a colour: [red, green, blue], each 0 to 255. */
export function inkOn([red, green, blue]: readonly [number, number, number]): "#000000" | "#ffffff" {
  const linear = (part: number) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) ? "#000000" : "#ffffff";
}
