// What one writes, and what becomes of it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { load } from './lib.mjs';

const {
  DraftStore, EMPTY_DRAFT, joinTexts, ownPrompts, browse, NOT_BROWSING, slashQuery, matchingCommands, completed, hintOf, kindOf, typeOf, blockOf,
  nameOfBlock, refusedKind, takes, offerOf, asText, sizeWords, settingsOf, shownValue, isPaused, placeholderOf, refusalOf, deskOf, openTurnOf, CommandError,
} = await load(
  'composer/draft.ts', 'composer/history.ts', 'composer/slash.ts', 'composer/attachments.ts', 'composer/settings.ts', 'composer/words.ts',
  'composer/desk.ts', 'composer/turn.ts', 'signalbox-client',
);

test('a turn that began before what is there of the session is open all the same', () => {
  const state = { turn: null, partial: true, phase: 'running', items: [{ kind: 'end', turnId: 't1' }, { kind: 'text', turnId: 't2' }, { kind: 'user' }] };
  assert.deepEqual(openTurnOf(state), { isOpen: true, turnId: 't2' });
  assert.deepEqual(openTurnOf({ ...state, phase: 'waiting', items: state.items.slice(0, 1) }), { isOpen: true, turnId: null });
  assert.deepEqual(openTurnOf({ ...state, phase: 'idle' }), { isOpen: false, turnId: null });
  assert.deepEqual(openTurnOf({ ...state, partial: false }), { isOpen: false, turnId: null });
  assert.deepEqual(openTurnOf({ ...state, turn: { turnId: 't3' } }), { isOpen: true, turnId: 't3' });
});

class Memory {
  map = new Map();
  getItem = (name) => this.map.get(name) ?? null;
  setItem = (name, value) => void this.map.set(name, value);
  removeItem = (name) => void this.map.delete(name);
}

describe('drafts', () => {
  test('outlive the page, each for its session, and are gone when they are empty', () => {
    const storage = new Memory();
    const attachments = [{ name: 'a.md', bytes: 3, block: { type: 'resource', blob: 'b1', resource: { uri: 'attachment:///a.md' } } }];
    const store = new DraftStore(storage);
    store.put('s1', { text: 'one', attachments });
    store.put('s2', { text: 'two', attachments: [] });
    const later = new DraftStore(storage);
    assert.deepEqual(later.get('s1'), { text: 'one', attachments });
    assert.equal(later.get('s2').text, 'two');
    assert.deepEqual(later.get('s3'), EMPTY_DRAFT);
    later.put('s1', EMPTY_DRAFT);
    assert.deepEqual(new DraftStore(storage).get('s1'), EMPTY_DRAFT);
  });

  test('are bounded: the oldest ones go, and what is too long to be stored stays in memory', () => {
    const storage = new Memory();
    const store = new DraftStore(storage);
    for (let i = 0; i < 60; i++) {
      store.put(`s${i}`, { text: 'x', attachments: [] });
    }
    assert.equal(new DraftStore(storage).get('s9').text, '');
    assert.equal(new DraftStore(storage).get('s10').text, 'x');
    store.put('long', { text: 'x'.repeat(200_001), attachments: [] });
    assert.equal(store.get('long').text.length, 200_001);
    assert.equal(new DraftStore(storage).get('long').text, '');
  });

  test('are kept in memory where nothing can be stored, or something else stands there', () => {
    const broken = { getItem: () => { throw new Error('no'); }, setItem: () => { throw new Error('no'); }, removeItem: () => { throw new Error('no'); } };
    for (const storage of [null, broken]) {
      const store = new DraftStore(storage);
      store.put('s1', { text: 'one', attachments: [] });
      assert.equal(store.get('s1').text, 'one');
    }
    const odd = new Memory();
    for (const value of ['{', '5', '{"text":5}', '[]']) {
      odd.setItem('signalbox:draft:s1', value);
      assert.deepEqual(new DraftStore(odd).get('s1'), EMPTY_DRAFT, value);
    }
  });

  test('a text that comes back stands before what was written meanwhile', () => {
    assert.equal(joinTexts('old', ''), 'old');
    assert.equal(joinTexts('', 'new'), 'new');
    assert.equal(joinTexts('old\n', 'new'), 'old\n\nnew');
  });
});

describe('history', () => {
  const user = (text, by = 'ada') => ({ kind: 'user', text, by: { user: by } });
  const prompts = ['first', 'second\nwith two lines', 'third'];

  test('is of one\'s own prompts, the queued ones last, each once in a row', () => {
    const state = { items: [user('a'), { kind: 'text', text: 'said' }, user('b', 'bob'), user('a'), user('c'), user(' ')], queue: [{ text: 'd', by: { user: 'ada' } }] };
    assert.deepEqual(ownPrompts(state, 'ada'), ['a', 'c', 'd']);
    assert.deepEqual(ownPrompts(state, null), ['a', 'b', 'a', 'c', 'd']);
  });

  test('goes back from an empty field, and forward to what one had begun', () => {
    const up = (now, text, at = 0) => browse(now, 'ArrowUp', prompts, text, at);
    const down = (now, text, at = text.length) => browse(now, 'ArrowDown', prompts, text, at);
    const one = up(NOT_BROWSING, '');
    assert.equal(one.shown, 'third');
    const two = up(one, one.shown);
    assert.equal(two.shown, 'second\nwith two lines');
    const three = up(two, two.shown);
    assert.equal(three.shown, 'first');
    assert.equal(up(three, three.shown), null, 'there is none before it');
    assert.equal(down(three, three.shown).shown, 'second\nwith two lines');
    assert.equal(down(one, one.shown).shown, '');
    assert.equal(down(NOT_BROWSING, ''), null);
  });

  test('leaves the arrows to the cursor where they move it', () => {
    assert.equal(browse(NOT_BROWSING, 'ArrowUp', prompts, 'begun', 0), null, 'what was begun is not thrown away');
    assert.equal(browse(NOT_BROWSING, 'ArrowUp', prompts, '', null), null, 'something is selected');
    const two = { back: 2, written: '', shown: prompts[1] };
    assert.equal(browse(two, 'ArrowUp', prompts, prompts[1], prompts[1].length), null, 'the second line');
    assert.equal(browse(two, 'ArrowDown', prompts, prompts[1], 0), null, 'the first line');
    assert.equal(browse({ ...two, shown: 'x' }, 'ArrowDown', prompts, prompts[1], 999), null, 'it was changed: it is what one writes');
    assert.equal(browse(NOT_BROWSING, 'ArrowUp', [], '', 0), null);
  });
});

describe('slash commands', () => {
  const commands = [
    { name: 'plan', description: 'Make a plan' }, { name: 'review', description: 'Look at the changes', hint: 'what to look at' },
    { name: 'mcp:reset', description: 'Reset the servers' }, { name: 'compare', description: 'Find the plan that differs' },
  ];
  const names = (query) => matchingCommands(commands, query).map(({ name }) => name);

  test('are looked for only where the text begins with one and the cursor is in it', () => {
    assert.equal(slashQuery('/', 1), '');
    assert.equal(slashQuery('/rev', 4), 'rev');
    assert.equal(slashQuery('/rev more', 4), 'rev');
    assert.deepEqual([slashQuery('/rev', 2), slashQuery('/rev ', 5), slashQuery('a /rev', 6), slashQuery('', 0), slashQuery('rev', 3)], [null, null, null, null, null]);
  });

  test('match by the beginning, by parts, then by what they are about', () => {
    assert.deepEqual(names(''), ['plan', 'review', 'mcp:reset', 'compare']);
    assert.deepEqual(names('re'), ['review', 'mcp:reset', 'compare']);
    assert.deepEqual(names('PLAN'), ['plan', 'compare']);
    assert.deepEqual(names('zzz'), []);
  });

  test('are completed, and their hint is shown until something follows', () => {
    assert.deepEqual(completed('/rev', 4, commands[1]), { text: '/review ', at: 8 });
    assert.deepEqual(completed('/rev the rest', 4, commands[1]), { text: '/review the rest', at: 8 });
    assert.equal(hintOf(commands, '/review '), 'what to look at');
    assert.equal(hintOf(commands, '/review it'), null);
    assert.equal(hintOf(commands, '/plan '), null);
  });
});

describe('files', () => {
  const file = (name, type = '') => ({ name, type });

  test('become the block that an agent can use', () => {
    assert.deepEqual(['image/png', 'image/svg+xml', 'audio/wav', 'application/pdf', ''].map((type) => kindOf(file('f', type))), ['image', 'resource', 'audio', 'resource', 'resource']);
    assert.equal(typeOf(file('a.rs')), 'text/plain');
    assert.equal(typeOf(file('a.ts', 'video/mp2t')), 'text/plain', 'a browser takes TypeScript for a film');
    assert.equal(typeOf(file('a.md', 'text/markdown')), 'text/markdown');
    assert.equal(typeOf(file('a.json', 'application/json')), 'text/plain');
    assert.equal(typeOf(file('Makefile')), 'text/plain');
    assert.equal(typeOf(file('a.pdf', 'application/pdf')), 'application/pdf');
    assert.equal(typeOf(file('a.bin')), 'application/octet-stream');
    assert.deepEqual(blockOf(file('a b.md', 'text/markdown'), 'B'), { type: 'resource', blob: 'B', resource: { uri: 'attachment:///a%20b.md', mimeType: 'text/markdown' } });
    assert.deepEqual(blockOf(file('p.png', 'image/png'), 'B'), { type: 'image', blob: 'B', mimeType: 'image/png' });
    assert.equal(nameOfBlock(blockOf(file('a b/ü.md'), 'B')), 'a b/ü.md');
    assert.equal(nameOfBlock({ type: 'image' }), 'Image');
    assert.equal(nameOfBlock({ type: 'resource', resource: { uri: 'x:///%' } }), 'x:///%');
  });

  test('the server names the kind that an agent does not take', () => {
    assert.equal(refusedKind('this agent takes no images'), 'image');
    assert.equal(refusedKind('this agent takes no audio'), 'audio');
    assert.equal(refusedKind('this agent takes no embedded resources; a resource_link may do'), 'resource');
    assert.equal(refusedKind('something else'), null);
  });

  const capabilities = (image, audio, embeddedContext) => ({ image, audio, embeddedContext });

  test('what is not known to be refused is offered', () => {
    const kinds = ['image', 'audio', 'resource'];
    assert.deepEqual(kinds.map((kind) => takes(null, kind)), [true, true, true]);
    assert.deepEqual(kinds.map((kind) => takes(capabilities(true, false, false), kind)), [true, false, false]);
    assert.deepEqual(kinds.map((kind) => takes(capabilities(false, false, true), kind)), [false, false, true]);
  });

  test('the offer says what is taken, how much, and what not', () => {
    const all = { isNone: false, accept: undefined, words: 'Attach files (or paste, or drop them)', dropWords: 'Drop files to attach them' };
    assert.deepEqual(offerOf(null, null), all);
    assert.deepEqual(offerOf(capabilities(true, true, true), 16 << 20), { ...all, words: `${all.words}, up to 16.8 MB in all` });
    assert.deepEqual(offerOf(capabilities(true, false, true), null), {
      isNone: false, accept: undefined, words: 'Attach files and images (or paste, or drop them). This agent takes no audio.',
      dropWords: 'Drop files and images to attach them. This agent takes no audio.',
    });
    const pictures = offerOf(capabilities(true, false, false), 2000);
    assert.deepEqual([pictures.accept, pictures.words], ['image/*', 'Attach images (or paste, or drop them), up to 2.0 kB in all. This agent takes no files and no audio.']);
    const nothing = offerOf(capabilities(false, false, false), 2000);
    assert.deepEqual([nothing.isNone, nothing.words, nothing.dropWords], [true, 'This agent takes no files, no images and no audio.', nothing.words]);
  });

  test('as a part of the text their fence is longer than any in them', () => {
    assert.equal(asText('a.md', 'x\n'), 'a.md:\n```\nx\n```');
    assert.equal(asText('a.md', '````\nx'), 'a.md:\n`````\n````\nx\n`````');
    assert.deepEqual([5, 1500, 20_000, 17e6].map(sizeWords), ['5 B', '1.5 kB', '20 kB', '17.0 MB']);
  });
});

describe('settings', () => {
  const mode = { currentModeId: 'ask', availableModes: [{ id: 'ask', name: 'Ask' }, { id: 'code', description: 'Writes' }, null, { name: 'no id' }] };
  const select = (id, category, values = ['a', 'b']) => ({ id, category, type: 'select', name: id.toUpperCase(), currentValue: values[0], options: values.map((value) => ({ value, name: value })) });

  test('a mode of its own, and options in the order in which people look for them', () => {
    const settings = settingsOf({ mode, configOptions: [select('effort', 'thought_level'), { id: 'web', type: 'boolean', name: 'Web', currentValue: true }, select('m', 'model')] });
    assert.deepEqual(settings.map(({ id, kind }) => [id, kind]), [[null, 'select'], ['m', 'select'], ['effort', 'select'], ['web', 'switch']]);
    assert.deepEqual(settings[0].choices.map(({ value, name }) => [value, name]), [['ask', 'Ask'], ['code', 'code']]);
    assert.equal(settings[3].value, true);
    assert.equal(shownValue(settings[0]), 'Ask');
    assert.equal(shownValue(settings[0], 'unlisted'), 'unlisted');
  });

  test('an agent that has its mode among its options has one', () => {
    assert.deepEqual(settingsOf({ mode, configOptions: [select('mode', 'mode')] }).map(({ id }) => id), ['mode']);
  });

  test('choices in groups; what is not as it should be is left out', () => {
    const grouped = { ...select('m', 'model'), options: [{ name: 'G', options: [{ value: 'x' }, { value: 5 }] }, { value: 'y', name: 'Y' }] };
    assert.deepEqual(settingsOf({ mode: null, configOptions: [grouped, null, 5, { type: 'select' }, { id: 'e', type: 'select', options: [] }, { id: 'n', type: 'new' }] })
      .map(({ choices }) => choices.map(({ value, name }) => [value, name])), [[['x', 'x'], ['y', 'Y']]]);
    assert.deepEqual(settingsOf({ mode: { availableModes: 'odd' }, configOptions: null }), []);
  });
});

test('what the composer says of the session', () => {
  const state = { phase: 'idle', turn: null, queue: [], agent: 'Shell', detail: null };
  assert.equal(isPaused({ ...state, phase: 'stopped', queue: [{}] }), true);
  assert.equal(isPaused({ ...state, phase: 'running', turn: {}, queue: [{}] }), false);
  assert.equal(isPaused({ ...state, phase: 'stopped' }), false);
  assert.match(placeholderOf(state), /Ask Shell/);
  assert.match(placeholderOf({ ...state, turn: {} }), /waits for its turn/);
  assert.match(refusalOf({ code: 'given_up', message: '', outcome: 'unknown' }), /not known/);
  assert.match(refusalOf({ code: 'new', message: 'because', outcome: 'refused' }), /because\.$/);
});

describe('the desk', () => {
  /** A client whose answers are the test's to give. */
  function fakeClient(outbox = []) {
    const sent = [];
    const send = (type, fields) => {
      let settle;
      const promise = new Promise((resolve, reject) => { settle = { resolve, reject }; });
      promise.catch(() => {});
      const command = { type, fields, sessionId: fields.sessionId, then: promise.then.bind(promise), catch: promise.catch.bind(promise), ...settle };
      sent.push(command);
      return command;
    };
    return { client: { url: 'http://x', outbox: { get: () => outbox }, send, cancel: (sessionId, { turnId }) => send('cancel', { sessionId, turnId }) }, sent, send };
  }
  const soon = () => new Promise((resolve) => setImmediate(resolve));
  const refused = (code, outcome = 'refused', message = 'no') => new CommandError(outcome, code, message);
  const block = { type: 'image', blob: 'b1', mimeType: 'image/png' };

  test('what is sent leaves the field, and comes back when it was not done', async () => {
    const { client, sent } = fakeClient();
    const desk = deskOf(client, 's1');
    assert.equal(desk.send(), null, 'nothing is no prompt');
    desk.type('hello');
    desk.send();
    assert.deepEqual(sent[0].fields, { sessionId: 's1', text: 'hello' });
    assert.equal(desk.get().text, '');
    desk.type('meanwhile');
    sent[0].reject(refused('queue_full'));
    await soon();
    assert.equal(desk.get().text, 'hello\n\nmeanwhile');
    assert.match(desk.get().note.words, /Too many prompts/);
  });

  test('what was taken back comes back without a complaint; what may have arrived does not, but can be had', async () => {
    const { client, sent } = fakeClient();
    const desk = deskOf(client, 's1');
    desk.type('one');
    desk.send();
    sent[0].reject(refused('withdrawn', 'not_sent'));
    await soon();
    assert.deepEqual([desk.get().text, desk.get().note], ['one', null]);
    desk.send();
    sent[1].reject(refused('given_up', 'unknown'));
    await soon();
    assert.equal(desk.get().text, '');
    desk.get().note.action.run();
    assert.equal(desk.get().text, 'one');
  });

  test('a file that the agent does not take is said to be so, and the prompt is still there', async () => {
    const { client, sent } = fakeClient();
    const desk = deskOf(client, 's1');
    desk.putBack('look', [{ type: 'text', text: 'look' }, block]);
    assert.equal(desk.get().attachments.length, 1);
    desk.send();
    assert.deepEqual(sent[0].fields, { sessionId: 's1', text: 'look', content: [block] });
    sent[0].reject(refused('unsupported', 'refused', 'this agent takes no images'));
    await soon();
    assert.equal(desk.get().text, 'look');
    assert.match(desk.get().attachments[0].problem, /takes no images/);
    assert.equal(desk.canSend, false);
    assert.equal(desk.takes('image'), false);
    desk.attach([{ name: 'p.png', type: 'image/png', size: 5 }]);
    assert.match(desk.get().attachments[1].problem, /takes no images/, 'the next one is told before it is sent up');
  });

  const capabilities = (image, audio, embeddedContext) => ({ image, audio, embeddedContext });
  const file = (name, type, size = 5) => ({ name, type, size });
  const problems = (desk) => desk.get().attachments.map(({ problem }) => problem);

  /** Runs it with an XMLHttpRequest that is answered by the test: {sent: [name of the file], answer(n, status, body)}. */
  async function withUploads(run) {
    const requests = [];
    class FakeRequest extends EventTarget {
      upload = new EventTarget();
      open() {}
      setRequestHeader() {}
      send(body) { requests.push(Object.assign(this, { body })); }
      abort() { this.dispatchEvent(new Event('abort')); }
    }
    globalThis.XMLHttpRequest = FakeRequest;
    try {
      await run({
        sent: () => requests.map(({ body }) => body.name),
        answer: async (n, status, response) => {
          Object.assign(requests[n], { status, response }).dispatchEvent(new Event('load'));
          await soon();
        },
      });
    } finally {
      delete globalThis.XMLHttpRequest;
    }
  }

  test('what the agent does not take is not sent up; before it is known, everything is', () => withUploads(async ({ sent, answer }) => {
    const desk = deskOf(fakeClient().client, 's1');
    desk.attach([file('a.png', 'image/png')]);
    assert.deepEqual(sent(), ['a.png']);
    await answer(0, 201, { blob: 'b1' });
    assert.equal(desk.canSend, true);

    desk.knows(capabilities(false, false, true), null);
    assert.match(problems(desk)[0], /takes no images/);
    assert.equal(desk.canSend, false, 'nor is what was there already');
    desk.attach([file('b.png', 'image/png'), file('c.md', 'text/markdown')]);
    assert.deepEqual(sent(), ['a.png', 'c.md']);
    await answer(1, 201, { blob: 'b2' });

    desk.knows(capabilities(true, false, true), null);
    assert.deepEqual(sent(), ['a.png', 'c.md', 'b.png'], 'the agent is another one: what waited goes up, what was up does not go again');
    await answer(2, 201, { blob: 'b3' });
    assert.deepEqual(problems(desk), [null, null, null]);
    assert.deepEqual(desk.send().fields.content.map(({ blob }) => blob), ['b1', 'b3', 'b2']);
  }));

  test('what an agent refused is offered again when another one is known to take it', async () => {
    const desk = deskOf(fakeClient().client, 's1');
    desk.refuse('image');
    assert.equal(desk.takes('image'), false);
    desk.knows(null, 5000);
    assert.equal(desk.takes('image'), false, 'the size that the server takes says nothing of the agent');
    desk.knows(capabilities(true, false, false), 5000);
    assert.equal(desk.takes('image'), true);
  });

  test('what is too large, alone or with the others, is said before it is sent up, and goes when there is room', () => withUploads(async ({ sent, answer }) => {
    const desk = deskOf(fakeClient().client, 's1');
    desk.knows(capabilities(true, true, true), 1000);
    desk.attach([file('huge', '', 1001), file('one', '', 600), file('two', '', 401), file('three', '', 400), file('none', '', 0)]);
    assert.deepEqual(sent(), ['one', 'three']);
    const [huge, one, two, three, none] = problems(desk);
    assert.match(huge, /^1\.0 kB is too large: .* up to 1\.0 kB/);
    assert.match(two, /With the others/);
    assert.match(none, /empty/);
    assert.deepEqual([one, three], [null, null]);
    await answer(0, 201, { blob: 'b1' });
    desk.detach(desk.get().attachments[1].key);
    assert.deepEqual(sent(), ['one', 'three', 'two']);
    desk.knows(capabilities(true, true, true), 2000);
    assert.deepEqual(sent().slice(3), ['huge'], 'the server takes more now');
  }));

  test('what could not be sent up can be tried again', () => withUploads(async ({ sent, answer }) => {
    const desk = deskOf(fakeClient().client, 's1');
    desk.attach([file('a.md', 'text/markdown')]);
    await answer(0, 503, { code: 'busy', detail: 'too much', retryable: true });
    assert.deepEqual([problems(desk)[0], desk.get().attachments[0].canRetry, sent().length], ['too much', true, 1]);
    desk.retry(desk.get().attachments[0].key);
    assert.deepEqual([problems(desk)[0], sent().length], [null, 2]);
    await answer(1, 201, { blob: 'b1' });
    assert.equal(desk.canSend, true);
  }));

  test('a queued prompt that is taken back goes into an empty field, and else waits beside it', async () => {
    const { client, sent } = fakeClient();
    const desk = deskOf(client, 's1');
    const withdraw = async (prompt, answer) => {
      const done = desk.withdraw(prompt);
      answer(sent.at(-1));
      await done;
    };
    await withdraw({ messageId: 'u1', text: 'one', content: [block] }, (command) => command.resolve({}));
    assert.equal(desk.get().text, 'one');
    assert.equal(desk.get().attachments[0].block.blob, 'b1');
    await withdraw({ messageId: 'u2', text: 'two' }, (command) => command.resolve({}));
    assert.equal(desk.get().text, 'one');
    desk.get().note.action.run();
    assert.equal(desk.get().text, 'two\n\none');
    await withdraw({ messageId: 'u3', text: 'three' }, (command) => command.reject(refused('not_found')));
    assert.match(desk.get().note.words, /given to the agent already/);
  });

  test('a cancel gives the queue back in its order, and is over with the turn', async () => {
    const { client, sent } = fakeClient();
    const desk = deskOf(client, 's1');
    desk.type('draft');
    const done = desk.cancel('t1', [{ text: 'a', content: [{ type: 'text', text: 'a' }, block] }, { text: 'b' }]);
    void desk.cancel('t1', []);
    assert.equal(sent.length, 1, 'once is enough');
    assert.equal(sent[0].fields.turnId, 't1', 'a later one is not meant');
    assert.equal(desk.get().cancelling, 't1');
    sent[0].resolve({ withdrawn: ['a', 'b'] });
    await done;
    assert.equal(desk.get().text, 'a\n\nb\n\ndraft');
    assert.equal(desk.get().attachments.length, 1);
    desk.turnIs('t1');
    assert.equal(desk.get().cancelling, 't1', 'the agent has not ended it yet');
    desk.turnIs(null);
    assert.equal(desk.get().cancelling, null);
  });

  test('a cancel that was refused is said so', async () => {
    const { client, sent } = fakeClient();
    const desk = deskOf(client, 's1');
    const done = desk.cancel('t1', []);
    sent[0].reject(refused('closed'));
    await done;
    assert.equal(desk.get().cancelling, null);
    assert.match(desk.get().note.words, /not cancelled/);
  });

  test('what was on its way before a reload comes back into its own session', async () => {
    const { send } = fakeClient();
    const old = send('prompt', { sessionId: 's2', text: 'before' });
    const { client } = fakeClient([old]);
    deskOf(client, 's1');
    old.reject(refused('expired_unsent', 'not_sent'));
    await soon();
    assert.equal(deskOf(client, 's2').get().text, 'before');
    assert.equal(deskOf(client, 's1').get().text, '');
  });
});
