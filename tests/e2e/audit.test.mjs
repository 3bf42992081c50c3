import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { printedAudit, readAudit, readAuditLines, readRules } from './lib/audit.mjs';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { say, script } from './lib/script.mjs';
import { runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';

const audit = (...args) => runSignalbox(['audit', ...args]);

test('the audit and the rules are read, page by page, as lines and by the program', async () => {
  const server = await startServer();
  const everywhere = async () => {
    const pages = await readAudit(server, { limit: 1 });
    assert.deepEqual(await readAuditLines(server), pages);
    assert.deepEqual(await printedAudit(server), pages);
    assert.deepEqual([...(await readAudit(server, { order: 'desc' }))].reverse(), pages);
    return pages;
  };
  assert.deepEqual(await everywhere(), []);
  assert.deepEqual(await readRules(server), []);
  await server.terminate();
  assert.deepEqual(await printedAudit(server), []);
  await server.start();
  assert.deepEqual(await everywhere(), []);
  const client = await server.connect();
  const session = await client.create('shell');
  await client.command('set_policy', { sessionId: session.id, policy: 'trust' });
  assert.equal((await everywhere()).length, 1);
  assert.deepEqual(await readAudit(server, { until: 0 }), [], 'nothing is older than all time');
  assert.equal((await readAudit(server, { since: 0 })).length, 1);
});

test('what is asked wrongly is refused with the field', async () => {
  const server = await startServer();
  for (const [query, field] of [['outcome=fine', 'outcome'], ['after=x', 'after'], ['since=now', 'since']]) {
    for (const format of ['', '&format=jsonl']) {
      const { status, json } = await request('GET', `${server.url}/v1/audit?${query}${format}`);
      assert.equal(status, 400);
      assert.equal(json.field, field);
    }
  }
});

test('the program leaves the data folder as it is, also of a server that was killed', async () => {
  const server = await startServer({ agents: { scripted: scripted() } });
  const session = await (await server.connect()).create('scripted');
  await session.run(script(say('hello')));
  await server.kill();
  const files = readdirSync(server.data).sort();
  assert.ok(files.includes('signalbox.db-wal'));
  assert.deepEqual(await printedAudit(server), []);
  assert.deepEqual(readdirSync(server.data).sort(), files);
  await server.start();
  const again = await (await server.connect()).follow(session.id);
  assert.equal(again.watch.state().turns.length, 1);
  await server.terminate();
  const stopped = readdirSync(server.data).sort();
  assert.ok(!stopped.includes('signalbox.db-wal'));
  assert.deepEqual(await printedAudit(server), []);
  assert.deepEqual(readdirSync(server.data).sort(), stopped);
});

test('what the program cannot read it says', async () => {
  const data = temporaryFolder();
  const none = await audit('--data', data);
  assert.equal(none.code, 1);
  assert.match(none.output, /^signalbox: there is no store that can be read: .*signalbox\.db: No such file/);
  assert.deepEqual(readdirSync(data), []);
  writeFileSync(path.join(data, 'signalbox.db'), 'this is no database. '.repeat(500));
  const damaged = await audit('--data', data);
  assert.equal(damaged.code, 1);
  assert.match(damaged.output, /is no SQLite database, or its beginning is damaged/);
  assert.deepEqual(readdirSync(data), ['signalbox.db']);
});

test('the folder is the configured one if none is given, and wrong usage is told', async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, 'signalbox.conf');
  writeFileSync(file, 'data = "nothing-yet"\n');
  const { code, output } = await audit('--config', file);
  assert.equal(code, 1);
  assert.match(output, new RegExp(`there is no store in ${folder}/nothing-yet`));
  for (const args of [['--what'], ['more'], ['--session']]) {
    const wrong = await audit(...args);
    assert.equal(wrong.code, 2);
    assert.match(wrong.output, /Usage: signalbox audit/);
  }
  const help = await audit('--help');
  assert.equal(help.code, 0);
  assert.match(help.output, /^Usage: signalbox audit/);
  assert.match((await runSignalbox(['--help'])).output, /\n {2}audit /);
});
