// Clients of factory-factory's chat (docs/dialects.md).
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { FactoryClient } from './lib/dialect-factory-factory.mjs';
import { agrees, dialectServer, ended, newSession, scenarios } from './lib/dialect-scenarios.mjs';
import { test } from './lib/harness.mjs';
import { ask, say, script } from './lib/script.mjs';

const server = await dialectServer({ configured: { command: ['signalbox-scripted-agent', '--config-options'] } });
const kind = {
  name: 'factory-factory',
  join: (of, sessionId, options) => FactoryClient.join(of, sessionId, options),
  compare: (view) => view,
};

scenarios(kind, server);

test('nothing is sent on connect; the subprotocol chooses as the path does; a URL without a session is refused', async () => {
  const sessionId = await newSession(server, 'scripted');
  const byPath = await FactoryClient.join(server, sessionId, { load: false });
  assert.equal(byPath.socket.protocol, '');
  const byName = await FactoryClient.join(server, sessionId, { load: false, protocol: 'factory-factory.v1' });
  assert.equal(byName.socket.protocol, 'factory-factory.v1');
  await byName.load();
  await agrees(kind, byName);
  assert.deepEqual(byPath.inbox.items, []);
  const nowhere = new FactoryClient();
  await assert.rejects(nowhere.open(server, '/chat'), (error) => error.status === 400 && JSON.parse(error.body).field === 'sessionId');
  await assert.rejects(nowhere.open(server, `/chat?sessionId=${sessionId}`, { protocol: 'unheard-of' }), (error) => error.status === 400);
  await Promise.all([byPath.close(), byName.close()]);
});

test('a session that is not there is an error, in its form', async () => {
  const client = await FactoryClient.join(server, 'no-such-session', { load: false });
  client.send({ type: 'load_session' });
  assert.equal((await client.message('error')).code, 'not_found');
  const id = client.prompt('hello');
  await client.until(() => client.prompts.get(id)?.state === 'REJECTED', 'the prompt is rejected');
  assert.match(client.prompts.get(id).why, /no such session/);
  await client.close();
});

test('what is no message of it is an error, and the connection stays', async () => {
  const sessionId = await newSession(server, 'scripted');
  const client = await FactoryClient.join(server, sessionId);
  const wrong = [
    ['no json', 'bad_json'], ['[]', 'bad_message'], [{ type: 'unheard_of' }, 'unknown_type'], [{ type: 'queue_message' }, 'bad_message'],
    [{ type: 'permission_response', requestId: 'p-x' }, 'bad_message'], [{ type: 'permission_response', requestId: 'p-x', allow: true }, 'not_found'],
    [{ type: 'set_config_option', configId: 'unheard-of', value: 'x' }, 'not_found'], [{ type: 'user_input', text: 7 }, 'bad_message'],
    [{ type: 'remove_queued_message', messageId: 'unheard-of' }, 'not_found'],
  ];
  for (const [message, code] of wrong) {
    const from = client.inbox.items.length;
    client.send(message);
    await client.message('error', (error) => error.code === code, { from });
  }
  const id = randomUUID();
  client.send({ type: 'queue_message', id });
  await client.until(() => client.prompts.get(id)?.state === 'REJECTED', 'a prompt that says nothing');
  client.send({ type: 'queue_message', id: 'att', attachments: [{ name: 'x' }] });
  await client.until(() => client.prompts.get('att')?.state === 'REJECTED', 'an attachment without data');
  await client.close();
});

test('the queue: positions, taking back, by who sent it and by others, and a message that is sent twice', async () => {
  const sessionId = await newSession(server, 'scripted');
  const [one, other] = [await FactoryClient.join(server, sessionId), await FactoryClient.join(server, sessionId)];
  one.prompt(script(say('busy'), ask()));
  await one.until(() => one.requests.length === 1, 'the first turn');
  const second = one.prompt(script(say('second')), 'second');
  const third = one.prompt(script(say('third')), 'third');
  await other.until(() => other.prompts.get(third)?.state === 'ACCEPTED', 'the queue, to others');
  assert.equal(other.prompts.get(second).position, 1);
  other.send({ type: 'remove_queued_message', messageId: third });
  await one.until(() => one.prompts.get(third)?.state === 'CANCELLED', 'taken back by another');
  one.prompt(script(say('second')), second); // its answer was lost, say
  await other.drop();
  const back = await FactoryClient.join(server, sessionId);
  back.prompt(script(say('second')), second);
  await Promise.all([one, back].map((client) => client.until(() => client.sending.size === 0, 'what is sent again is accepted again')));
  back.answer(back.requests[0], 'allow_once');
  await ended(server, sessionId, 2);
  await agrees(kind, back);
  await agrees(kind, one);
  assert.equal(one.shownText.split('second').length, 2, 'done once');
  // And when it is over: the client is told all of it, in which the message stands as it is by now.
  const from = back.inbox.items.length;
  back.prompt(script(say('second')), second);
  await back.message('session_snapshot', ({ loadRequestId }) => loadRequestId === undefined, { from });
  await back.until(() => back.sending.size === 0 && back.prompts.get(second).state === 'COMMITTED', 'it was given to the agent');
  back.prompt(script(say('third')), third);
  await back.until(() => back.sending.size === 0 && back.prompts.get(third).state === 'CANCELLED', 'it was taken back');
  await agrees(kind, back);
  // The same id with other words is another message.
  back.prompt(script(say('else')), second);
  await back.until(() => back.prompts.get(second).state === 'REJECTED', 'the id was another one\'s');
  await Promise.all([one.close(), back.close()]);
});

test('who says something without loading the session hears what comes of it; pictures and files go to the agent', async () => {
  const sessionId = await newSession(server, 'scripted');
  const client = await FactoryClient.join(server, sessionId, { load: false });
  client.send({ type: 'user_input', text: script(say('heard')) });
  await client.until(() => client.shownText === 'heard' && !client.isProcessing, 'the answer');
  client.send({
    type: 'queue_message', id: 'files', text: script({ blocks: true }),
    attachments: [
      { name: 'a b.txt', type: 'text/plain', contentType: 'text', data: 'hello' },
      { name: 'x.bin', type: 'application/octet-stream', data: 'aGVsbG8=' }],
  });
  await client.until(() => client.shownText.includes('blocks:') && !client.isProcessing, 'the blocks');
  const blocks = JSON.parse(client.shownText.slice('heardblocks:'.length));
  assert.deepEqual(blocks.map(({ resource }) => resource), [
    { uri: 'attachment:///a%20b.txt', mimeType: 'text/plain', text: 'hello' },
    { uri: 'attachment:///x.bin', mimeType: 'application/octet-stream', blob: 'aGVsbG8=' }]);
  await client.close();
});

test('a message whose sender was cut off before it heard of it is accepted by what it loads when it is back', async () => {
  const sessionId = await newSession(server, 'scripted');
  const kept = await FactoryClient.join(server, sessionId);
  const page = await FactoryClient.join(server, sessionId);
  const given = page.prompt(script(say('first'), ask()));
  await kept.until(() => kept.prompts.get(given)?.state === 'COMMITTED', 'the turn');
  const waiting = page.prompt(script(say('second')));
  await kept.until(() => kept.prompts.get(waiting)?.state === 'ACCEPTED', 'one more, which waits');
  const gone = page.prompt(script(say('third')));
  await kept.until(() => kept.prompts.get(gone)?.state === 'ACCEPTED', 'and one that is taken back');
  kept.send({ type: 'remove_queued_message', messageId: gone });
  await kept.until(() => kept.prompts.get(gone).state === 'CANCELLED', 'it is taken back');
  page.sending = new Set([given, waiting, gone]); // none of the answers came through
  await page.drop();
  const back = await FactoryClient.join(server, sessionId, { again: page });
  await back.until(() => back.sending.size === 0, 'nothing is being sent any more');
  assert.deepEqual([given, waiting, gone].map((id) => back.prompts.get(id).state), ['COMMITTED', 'ACCEPTED', 'CANCELLED']);
  await back.until(() => back.requests.length === 1, 'the request');
  back.answer(back.requests[0], 'allow_once');
  await ended(server, sessionId, 2);
  await agrees(kind, back);
  await Promise.all([kept.close(), back.close()]);
});

test('of several requests the page has one dialog: when that is answered, another one that waits is shown', async () => {
  const sessionId = await newSession(server, 'scripted');
  const live = await FactoryClient.join(server, sessionId);
  live.prompt(script(ask({ parallel: 4, tool: { title: 'four', kind: 'edit', name: 'edit', input: { path: 'p' } } }), say('over')));
  await live.until(() => live.requests.length === 4, 'all of them');
  const answered = live.dialog;
  live.answer(answered, 'allow_once');
  await live.until(() => live.dialog && live.dialog !== answered && live.requests.length === 3, 'the next dialog');
  const late = await FactoryClient.join(server, sessionId); // whose past ends with one that is over
  await late.until(() => late.requests.includes(late.dialog) && late.requests.length === 3, 'a dialog, late');
  while (live.requests.length > 0) {
    const { dialog } = live;
    live.answer(dialog, 'reject_once');
    await Promise.all([live, late].map((client) => client.until(() => !client.requests.includes(dialog), 'it is over')));
    await Promise.all([live, late].map((client) => client.until(() => client.requests.length === 0 || client.requests.includes(client.dialog), 'the next')));
  }
  await ended(server, sessionId, 1);
  await Promise.all([live, late].map((client) => agrees(kind, client)));
  assert.deepEqual([live.dialog, late.dialog], [null, null]);
  await Promise.all([live.close(), late.close()]);
});

test('the model by its category, and other options', async () => {
  const sessionId = await newSession(server, 'configured');
  const client = await FactoryClient.join(server, sessionId);
  await client.until(() => client.options, 'the options');
  const model = client.options.find(({ category }) => category === 'model');
  const value = model.options.find((option) => option.value !== model.currentValue).value;
  client.send({ type: 'set_model', model: value });
  await client.until(() => client.options.find(({ id }) => id === model.id).currentValue === value, 'the model is another one');
  client.send({ type: 'set_model', model: 'unheard-of' });
  await client.message('error');
  client.send({ type: 'set_thinking_budget', max_tokens: 'high' });
  await client.message('error', ({ code }) => code === 'not_found' || code === 'bad_message');
  await client.close();
});
