// Where things are. SIGNALBOX_BIN is the folder with the built programs.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const e2e = path.join(root, 'tests/e2e');
export const bin = path.resolve(process.env.SIGNALBOX_BIN ?? path.join(root, 'build/release'));
export const logs = path.resolve(process.env.SIGNALBOX_TEST_LOGS ?? path.join(root, 'build/test-logs'));
export const cache = path.resolve(
  process.env.SIGNALBOX_TEST_CACHE ??
    path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache'), 'signalbox-tests'),
);
const server = path.join(bin, 'signalbox');
const symbols = existsSync(server) ? readFileSync(server) : Buffer.alloc(0);
/** Built with a sanitizer, which takes memory of its own. */
export const isSanitized = ['__asan_init', '__tsan_init'].some((name) => symbols.includes(name));
export const isLong = process.env.SIGNALBOX_TEST_LONG === '1';

mkdirSync(logs, { recursive: true });
