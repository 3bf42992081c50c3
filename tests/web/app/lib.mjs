// Modules of the application (web/app/src, TypeScript and TSX), built by esbuild, which Vite brings, and imported into the test.
import { createRequire } from 'node:module';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const appFolder = path.join(root, 'web/app');
const sources = path.join(appFolder, 'src');
const { resolve } = createRequire(path.join(appFolder, 'package.json'));
const { build } = createRequire(resolve('vite'))('esbuild');

const folder = mkdtempSync(path.join(os.tmpdir(), 'signalbox-app-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true })); // not by node:test's `after`: programs that are no tests use it, too
let built = 0;

const CLIENT = { '': 'index.ts', '/state': 'state.ts', '/preact': 'preact.ts' };
const client = Object.fromEntries(
  Object.entries(CLIENT).map(([entry, file]) => [`signalbox-client${entry}`, path.join(root, 'web/client/src', file)]),
);
// As in vite.config.ts: both halves have one Preact, which stands for React where a package wants that. A worker has no address here.
const asVite = {
  name: 'as-vite',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(preact|react|react-dom)(\/.*)?$/ }, ({ path: name }) => ({
      path: resolve(name.replace(/^react(-dom)?$/, 'preact/compat').replace(/^react\//, 'preact/')).replace(/\.js$/, '.mjs'),
    }));
    onResolve({ filter: /\?worker&url$/ }, ({ path: name }) => ({ path: name, namespace: 'worker' }));
    onLoad({ filter: /./, namespace: 'worker' }, () => ({ contents: 'export default "about:blank";' }));
  },
};

/**
 * What these modules export, as one object: `load('composer/history.ts')`. Names are paths in web/app/src, or packages
 * ('preact', 'signalbox-client/state'): what is loaded together shares its modules, what is loaded apart does not.
 * Styles are empty; what is imported lazily is there at once.
 */
export async function load(...names) {
  const lines = names.map((name) => {
    const file = path.join(sources, name);
    return `export * from ${JSON.stringify(existsSync(file) ? file : name)};`;
  });
  const result = await build({
    stdin: { contents: lines.join('\n'), resolveDir: sources, loader: 'ts' },
    bundle: true, write: false, format: 'esm', platform: 'browser', target: 'node18', charset: 'utf8',
    jsx: 'automatic', jsxImportSource: 'preact', tsconfigRaw: { compilerOptions: { useDefineForClassFields: true } },
    alias: client, plugins: [asVite], logLevel: 'silent', sourcemap: 'inline',
    define: { 'import.meta.env.DEV': 'false', 'import.meta.env.PROD': 'true', 'process.env.NODE_ENV': '"production"' },
    loader: { '.css': 'empty', '.svg': 'text' },
  });
  const file = path.join(folder, `${++built}.mjs`);
  writeFileSync(file, result.outputFiles[0].contents);
  return import(pathToFileURL(file).href);
}
