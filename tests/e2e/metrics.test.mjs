import assert from 'node:assert/strict';
import { scripted } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { parseMetrics } from './lib/prometheus.mjs';
import { ask, say, script } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const server = await startServer({ agents: { scripted: scripted() } });

async function metrics() {
  const answer = await server.rest('GET', '/metrics');
  assert.equal(answer.status, 200);
  assert.match(answer.headers['content-type'], /^text\/plain/);
  return parseMetrics(answer.text);
}

// What there must be to look at; the names are the server's, so only their subjects are demanded.
const SUBJECTS = [
  /connections|clients/, /subscriptions/, /events/, /deliver/, /mailbox/, /credit/, /commit/, /latency|seconds/,
  /permission/, /agents/,
];

test('metrics are Prometheus text, and speak of everything that there is to look at', async () => {
  const session = await (await server.connect()).create('scripted');
  const turn = await session.prompt(script(say('x'), ask()));
  await session.answerPermission(await turn.permission(), { allow: true });
  await turn.end();
  const families = await metrics();
  for (const subject of SUBJECTS) {
    assert.ok([...families.keys()].some((name) => subject.test(name)), `a metric about ${subject}`);
  }
  assert.ok([...families.values()].every((family) => family.name.startsWith('signalbox_') || /^(process|go)_/.test(family.name)));
});

test('connections are counted while they last', async () => {
  const count = async () => {
    const families = await metrics();
    const family = [...families.values()].find(({ name, type }) => type === 'gauge' && /connections|clients/.test(name));
    return family.samples.reduce((sum, sample) => sum + sample.value, 0);
  };
  const before = await count();
  const clients = await Promise.all([1, 2, 3].map(() => server.connect()));
  await until(async () => (await count()) === before + 3, 'three more');
  await Promise.all(clients.map((client) => client.close()));
  await until(async () => (await count()) === before, 'as before');
});
