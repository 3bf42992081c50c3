// After the build: each file that shrinks by it gets a .br and a .gz beside it, which the server sends to who takes them.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";

const TEXTS = /\.(html|js|mjs|css|svg|json|webmanifest|map|txt|wasm)$/;
const WORTH_IT = 0.9; // of the plain size, at most

const brotli = (bytes: Buffer) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });

export function compress(): Plugin {
  let folder = "";
  return {
    name: "signalbox-compress",
    apply: "build",
    configResolved: ({ root, build }) => {
      folder = path.resolve(root, build.outDir);
    },
    closeBundle: () => {
      const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
      for (const file of names.filter((name) => TEXTS.test(name)).map((name) => path.join(folder, name))) {
        const plain = readFileSync(file);
        for (const [ending, small] of [[".br", brotli(plain)], [".gz", gzipSync(plain, { level: 9 })]] as const) {
          if (small.length < plain.length * WORTH_IT) {
            writeFileSync(file + ending, small);
          }
        }
      }
    },
  };
}
