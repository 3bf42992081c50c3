import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { say, script } from './lib/script.mjs';
import { runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';

const store = (action, server) => runSignalbox(['store', action, '--data', server.data]);

test('a store is checked and compacted while no server runs on it, also after a crash', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const client = await server.connect();
  const session = await client.create('scripted');
  await session.run(script(say('hello')));
  await session.status('idle', { from: session.events.findIndex(({ type }) => type === 'complete') });
  for (const action of ['check', 'compact']) {
    const { code, output } = await store(action, server);
    assert.equal(code, 1);
    assert.match(output, new RegExp(`in use by another signalbox, process ${server.pid}`));
  }
  await server.kill();
  const events = session.events.at(-1).seq;
  for (const action of ['check', 'compact', 'check']) {
    const { code, output } = await store(action, server);
    assert.equal(code, 0, output);
    if (action === 'check') {
      assert.match(output, new RegExp(`: 1 sessions, ${events} events, \\d+ bytes: ok`));
    } else {
      assert.match(output, /: \d+ bytes before, \d+ after/);
    }
  }
  await server.start();
  const again = await (await server.connect()).follow(session.id);
  assert.deepEqual(again.watch.state().turns, session.watch.state().turns);
});

test('the folder is the configured one if none is given', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'signalbox.conf');
  writeFileSync(file, 'data = "nothing-yet"\n');
  const { code, output } = await runSignalbox(['store', 'check', '--config', file]);
  assert.equal(code, 1);
  assert.match(output, new RegExp(`there is no store in ${folder}/nothing-yet`));
});

test('a store that is none is neither checked nor compacted, and left as it is', async () => {
  const data = temporaryFolder();
  writeFileSync(path.join(data, 'signalbox.db'), 'this is no database. '.repeat(500));
  for (const action of ['check', 'compact']) {
    const { code, output } = await store(action, { data });
    assert.equal(code, 1);
    assert.match(output, /is no SQLite database, .*; it was left as it is: restore it from a backup/);
  }
});

test('wrong usage is told with the right one', async () => {
  for (const args of [['store'], ['store', 'mend'], ['store', 'check', 'twice'], ['store', 'check', '--what']]) {
    const { code, output } = await runSignalbox(args);
    assert.equal(code, 2);
    assert.match(output, /Usage: signalbox store check/);
  }
  const { code, output } = await runSignalbox(['store', '--help']);
  assert.equal(code, 0);
  assert.match(output, /Usage: signalbox store check/);
});
