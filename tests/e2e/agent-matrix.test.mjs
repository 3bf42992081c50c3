// Real agents, and what each can do: every cell of the matrix in docs/agents.md is tried, and must be what the document says.
// `SIGNALBOX_MATRIX=write` writes what was seen into the document instead. The agents that are installed for a long run only
// take part in that (scripts/test --long).
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe } from 'node:test';
import { claudeAgent, geminiAgent, openCodeAgent, sdkExampleAgent, startFakeModel } from './lib/agents.mjs';
import { test } from './lib/harness.mjs';
import { FEATURES } from './lib/matrix.mjs';
import { isLong, root } from './lib/paths.mjs';
import { prepareServer, runSignalbox, temporaryFolder } from './lib/server.mjs';
import { scaled } from './lib/wait.mjs';

// `plays`: its model is the imitation, so a prompt says what it does. The example has a script of its own; it is small, so
// everything is tried at the same time, each with a server of its own. `minutes`: it remembers no session that it is asked for
// in the minute in which it began it.
const AGENTS = {
  'SDK example': { make: sdkExampleAgent, plays: false },
  OpenCode: { make: openCodeAgent, plays: true },
  'Gemini CLI': { make: geminiAgent, plays: true, long: true, minutes: true },
  Claude: { make: claudeAgent, plays: true, long: true },
};
const only = process.env.SIGNALBOX_MATRIX_AGENT;
const document = path.join(root, 'docs/agents.md');
const seen = {};

async function newWorld(agent) {
  const options = { settings: { 'permission-timeout-ms': 0, 'agent-start-timeout-ms': 120_000 } };
  const server = await prepareServer(options); // is stopped before the agent's folders are removed
  const modelLog = agent.plays ? path.join(temporaryFolder(), 'model.log') : null;
  const model = agent.plays ? await startFakeModel({ log: modelLog }) : null;
  options.agents = { agent: agent.make(model) };
  server.writeConfig();
  await server.start();
  const client = await server.connect();
  const session = await client.create('agent');
  return { agent, modelLog, server, client, session };
}

async function tryAll(agent) {
  const cells = {};
  if (!agent.plays) {
    const tries = Object.entries(FEATURES).map(async ([name, look]) => [name, await look(await newWorld(agent))]);
    return Object.fromEntries(await Promise.all(tries));
  }
  const world = await newWorld(agent);
  for (const [name, look] of Object.entries(FEATURES)) {
    try {
      cells[name] = await look(world);
    } catch (error) {
      error.message = `${name}: ${error.message}`;
      throw error;
    }
  }
  return cells;
}

/** The matrix of the document: its lines, where it begins, and {agent: {feature: cell}}. */
function readMatrix() {
  const lines = readFileSync(document, 'utf8').split('\n');
  const begin = lines.findIndex((line) => line.startsWith('| seen |'));
  assert.ok(begin >= 0, `${document} has the matrix`);
  const cellsOf = (line) => line.split('|').slice(1, -1).map((cell) => cell.trim());
  const [, ...agents] = cellsOf(lines[begin]);
  const matrix = Object.fromEntries(agents.map((agent) => [agent, {}]));
  let end = begin + 2;
  for (; lines[end]?.startsWith('|'); end++) {
    const [feature, ...cells] = cellsOf(lines[end]);
    agents.forEach((agent, i) => (matrix[agent][feature] = cells[i]));
  }
  return { lines, begin, end, matrix };
}

function writeMatrix() {
  const { lines, begin, end, matrix } = readMatrix();
  const agents = Object.keys(AGENTS);
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const cell = (agent, feature) => (seen[agent] ?? matrix[agent])?.[feature] ?? '?';
  const rows = Object.keys(FEATURES).map((feature) => row([feature, ...agents.map((agent) => cell(agent, feature))]));
  lines.splice(begin, end - begin, row(['seen', ...agents]), `|${'---|'.repeat(agents.length + 1)}`, ...rows);
  writeFileSync(document, lines.join('\n'));
}

after(() => {
  console.log(JSON.stringify(seen, null, 1));
  if (process.env.SIGNALBOX_MATRIX === 'write') {
    writeMatrix();
  }
});

describe('what an agent can do is what the document says', { concurrency: 2 }, () => {
  for (const [name, agent] of Object.entries(AGENTS)) {
    const skip = only ? only !== name : agent.long && !isLong && 'in a long run only';
    test(name, { timeout: scaled(500_000), skip }, async () => {
      seen[name] = await tryAll(agent);
      if (process.env.SIGNALBOX_MATRIX !== 'write') {
        assert.deepEqual(readMatrix().matrix[name], seen[name]);
      }
    });
  }
});

test('the configuration in the document is good', async () => {
  const blocks = [...readFileSync(document, 'utf8').matchAll(/```\n(agent [^]*?)```/g)].map(([, block]) => block);
  const file = path.join(temporaryFolder(), 'signalbox.conf');
  for (const block of blocks) {
    writeFileSync(file, block);
    const { code, output } = await runSignalbox(['check-config', '--config', file]);
    assert.equal(code, 0, `${block}\n${output}`);
  }
  assert.ok(blocks.length > 3);
});

test('the document has all that is tried, and of all agents', () => {
  const { matrix } = readMatrix();
  assert.deepEqual(Object.keys(matrix), Object.keys(AGENTS));
  for (const cells of Object.values(matrix)) {
    assert.deepEqual(Object.keys(cells), Object.keys(FEATURES));
    assert.ok(!Object.values(cells).includes('?'), 'every cell was seen');
  }
});
