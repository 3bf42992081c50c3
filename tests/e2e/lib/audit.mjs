// The audit and the rules, as programs and operators read them.
import assert from 'node:assert/strict';
import { request } from './http.mjs';
import { runSignalbox } from './server.mjs';

const search = (query) => {
  const text = new URLSearchParams(query).toString();
  return text && `?${text}`;
};

/** All items of a paged list. query: filters; `limit` is that of each page. */
async function all(server, path, query, options) {
  const items = [];
  for (let after; ; ) {
    const answer = await request('GET', `${server.url}${path}${search(after ? { ...query, after } : query)}`, options);
    assert.equal(answer.status, 200, answer.text);
    items.push(...answer.json.items);
    after = answer.json.next;
    if (!after) {
      return items;
    }
  }
}

/** The entries of the audit, page by page. query: {session, user, outcome, since, until, order, limit}. */
export async function readAudit(server, query = {}, options = {}) {
  const entries = await all(server, '/v1/audit', query, options);
  const ascending = query.order === 'desc' ? [...entries].reverse() : entries;
  for (let i = 1; i < ascending.length; i++) {
    assert.ok(ascending[i].number > ascending[i - 1].number, 'numbers ascend');
  }
  if (!['session', 'user', 'outcome', 'since', 'until', 'after'].some((name) => name in query)) {
    assert.deepEqual(ascending.map((entry) => entry.number), ascending.map((_, i) => i + 1), 'numbers have no holes');
  }
  return entries;
}

/** The same as JSON lines, in one answer. */
export async function readAuditLines(server, query = {}, options = {}) {
  const answer = await request('GET', `${server.url}/v1/audit${search({ ...query, format: 'jsonl' })}`, options);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers['content-type'], 'application/x-ndjson');
  return parseLines(answer.text);
}

/** The rules in force. query: {session, user, workspace, limit}. */
export const readRules = (server, query = {}, options = {}) => all(server, '/v1/rules', query, options);

/** `signalbox audit --json` on the server's folder, whether it runs or not: its entries. */
export async function printedAudit(server, args = []) {
  const { code, output } = await runSignalbox(['audit', '--data', server.data, '--json', ...args]);
  assert.equal(code, 0, output);
  return parseLines(output);
}

function parseLines(text) {
  assert.ok(text === '' || text.endsWith('\n'), 'the last line is whole');
  return text.split('\n').slice(0, -1).map((line) => JSON.parse(line));
}
