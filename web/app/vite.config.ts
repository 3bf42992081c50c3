import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { compress } from "./scripts/compress.js";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const server = process.env.SIGNALBOX_URL ?? "http://127.0.0.1:8080"; // of `npm run dev`

export default defineConfig({
  plugins: [compress()],
  resolve: {
    // The client library is taken from its sources; both have one Preact.
    alias: [
      { find: /^signalbox-client$/, replacement: here("../client/src/index.ts") },
      { find: /^signalbox-client\/(.*)$/, replacement: here("../client/src/$1.ts") },
      // The virtual list is written for React.
      { find: /^react(-dom)?$/, replacement: "preact/compat" },
      { find: "react/jsx-runtime", replacement: "preact/jsx-runtime" },
    ],
    dedupe: ["preact"],
  },
  worker: { format: "es" },
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    outDir: here("../../build/web"),
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the Content-Security-Policy has no data: for scripts and styles
  },
  server: {
    proxy: Object.fromEntries(["/v1", "/ws", "/theme.json", "/healthz"].map((path) => [path, {
      target: server, ws: true, changeOrigin: true, headers: { Origin: server },
    }])),
  },
});
