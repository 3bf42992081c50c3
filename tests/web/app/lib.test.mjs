import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './lib.mjs';

test('a component of the application and the client library share one Preact', async () => {
  const all = await load('shell/shell.tsx', 'preact', 'preact/hooks', 'signalbox-client/state', 'signalbox-client/preact');
  assert.equal(typeof all.Shell, 'function');
  assert.equal(typeof all.SignalboxProvider, 'function');
  assert.ok(all.isValidElement(all.h(all.Shell, null)));
  assert.equal(all.emptySession('s').sessionId, 's');
});
