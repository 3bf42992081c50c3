import assert from 'node:assert/strict';
import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from './lib/harness.mjs';
import { runSignalbox, startServer, temporaryFolder } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

async function watchedServer() {
  const folder = temporaryFolder();
  const theme = path.join(folder, 'theme.json');
  writeFileSync(theme, '{"accent": "red"}');
  const server = await startServer({ settings: { 'theme-file': theme } });
  const clients = await Promise.all([server.connect(), server.connect(), server.connect()]);
  return { server, clients, theme };
}

const changes = (client) => client.inbox.items.filter((message) => message.type === 'config_changed');

/** Every client hears of it once: a later ping has overtaken every second notice. */
async function everybodyHearsOnce(clients, changeType, count = 1) {
  for (const client of clients) {
    await client.control('config_changed', () => changes(client).length === count);
  }
  await new Promise((done) => setTimeout(done, 300)); // a second notice would come by now
  for (const client of clients) {
    await client.ping();
    assert.deepEqual(changes(client).map((message) => message.changeType).at(-1), changeType);
    assert.equal(changes(client).length, count);
  }
}

const agentNames = async (server) => JSON.stringify((await server.rest('GET', '/v1/agents')).json);

test('config change to every client once', async () => {
  const { server, clients } = await watchedServer();
  server.options.agents = { another: { command: ['signalbox-shell'] } };
  server.writeConfig();
  await everybodyHearsOnce(clients, 'config');
  assert.match(await agentNames(server), /another/);
  const metrics = (await server.rest('GET', '/metrics')).text;
  assert.match(metrics, /^signalbox_config_reloads_total 1$/m);
});

test('a file that an editor replaces by rename is noticed, again and again', async () => {
  const { server, clients } = await watchedServer();
  for (let round = 1; round <= 3; round++) {
    server.options.agents = { [`round${round}`]: { command: ['signalbox-shell'] } };
    writeFileSync(`${server.configFile}.new`, server.configText());
    if (round === 2) {
      // the editors that keep a backup: the name is gone for a moment
      linkSync(server.configFile, `${server.configFile}~`);
      rmSync(server.configFile);
    }
    renameSync(`${server.configFile}.new`, server.configFile);
    await until(async () => (await agentNames(server)).includes(`round${round}`), `round ${round} in force`);
    await everybodyHearsOnce(clients, 'config', round);
  }
});

test('the theme file is watched too', async () => {
  const { server, clients, theme } = await watchedServer();
  writeFileSync(`${theme}.new`, '{"accent": "green"}');
  renameSync(`${theme}.new`, theme);
  await everybodyHearsOnce(clients, 'theme');
  assert.equal((await server.rest('GET', '/theme.json')).json.accent, 'green');
});

test('a bad file changes nothing, and says where it is bad', async () => {
  const { server, clients } = await watchedServer();
  const before = await agentNames(server);
  const good = server.configText();
  const bad = `${good}delta-window-ms = banana\n`;
  const line = bad.split('\n').findIndex((text) => text.includes('banana')) + 1;
  writeFileSync(server.configFile, bad);
  const report = await until(async () => {
    const { text } = await server.rest('GET', '/readyz');
    return text.includes('banana') || text.includes('delta-window-ms') ? text : null;
  }, 'the error in /readyz');
  assert.ok(report.includes('signalbox.conf'), report);
  assert.match(report, new RegExp(`\\b${line}\\b`), 'the line');
  await server.says(new RegExp(`signalbox\\.conf:${line}`)); // file and line
  assert.equal(await agentNames(server), before);
  for (const client of clients) {
    await client.ping();
    assert.equal(changes(client).length, 0);
  }

  const check = await runSignalbox(['check-config', server.configFile]);
  assert.notEqual(check.code, 0);
  assert.match(check.output, new RegExp(`signalbox\\.conf:${line}`));

  writeFileSync(server.configFile, `${good}delta-window-ms = 60\n`);
  await everybodyHearsOnce(clients, 'config');
  const after = (await server.rest('GET', '/readyz')).text;
  assert.ok(!after.includes('banana'), 'a good file clears the error');
  assert.equal((await runSignalbox(['check-config', server.configFile])).code, 0);
});

test('a session that runs is not disturbed by a change', async () => {
  const { server, clients } = await watchedServer();
  const session = await clients[0].create('shell');
  const turn = await session.prompt('echo still here');
  const request = await turn.permission();
  server.writeConfig({ 'permission-timeout-ms': 50_000 });
  await everybodyHearsOnce(clients, 'config');
  await session.answerPermission(request, { allow: true });
  const end = await turn.end();
  assert.match(end.blocks.find((block) => block.kind === 'tool').result.result, /still here/);
});
