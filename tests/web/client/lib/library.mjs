// The built library (web/client/dist), and the packages beside it.
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../..');
export const clientFolder = path.join(root, 'web/client');
export const distUrl = (name) => pathToFileURL(path.join(clientFolder, 'dist', name)).href;

export const library = await import(distUrl('index.js'));
export const { Backoff, Breaker } = await import(distUrl('backoff.js'));
export const { Outbox, OUTBOX_DEFAULTS } = await import(distUrl('outbox.js'));
export const requireFromClient = createRequire(path.join(clientFolder, 'package.json'));
export const WebSocket = createRequire(path.join(root, 'tests/e2e/package.json'))('ws');
