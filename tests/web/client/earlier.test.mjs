// The end of a session first, and what is before it behind: against a server that the test plays.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeWorld, settle } from './lib/fake.mjs';
import { library } from './lib/library.mjs';

const { emptySession, reduceAll } = library;
const S = 's1';

/** A log of turns of four events each: a prompt, a text in two pieces, an end. */
function logOf(turns) {
  const events = [];
  const add = (fields) => events.push({ sessionId: S, seq: events.length + 1, ts: events.length + 1, ...fields });
  for (let turn = 1; turn <= turns; turn++) {
    add({ type: 'user_message', messageId: `u${turn}`, text: `prompt ${turn}`, by: { user: 'ada' }, status: 'processing' });
    add({ type: 'text_delta', messageId: `m${turn}`, offset: 0, delta: `text ${turn}` });
    add({ type: 'text_complete', messageId: `m${turn}`, text: `text ${turn}`, isIntermediate: false });
    add({ type: 'complete', turnId: `t${turn}`, stopReason: 'end_turn', durationMs: 1 });
  }
  return events;
}

/** A server with a log, of which pages have four events. */
class Played {
  epoch = 'e1';
  refusal = null;
  held = null; // pages that wait for the test, each a function that lets it go

  constructor(turns) {
    this.log = logOf(turns);
    this.world = new FakeWorld();
    this.world.answer = async (url) => {
      await (this.held && new Promise((go) => this.held.push(go)));
      if (this.refusal) {
        return this.refusal();
      }
      const [epoch, seq] = new URL(url).searchParams.get('after').split(':');
      const after = epoch === this.epoch ? Number(seq) : 0;
      const events = this.log.slice(after, after + 4);
      const isLast = after + 4 >= this.log.length;
      return Response.json({ epoch: this.epoch, head: this.log.length, events, ...(isLast ? {} : { next: `${this.epoch}:${after + 4}` }) });
    };
  }

  get asked() {
    return this.world.socket.last('subscribe');
  }

  get pages() {
    return this.world.fetched.filter(({ url }) => url.includes('/events')).map(({ url }) => new URL(url).searchParams.get('after'));
  }

  async watch(options = { history: 'end', first: 8 }) {
    this.client = await this.world.live();
    const { socket } = this.world;
    const { send } = socket;
    socket.send = (text) => {
      send.call(socket, text);
      if (JSON.parse(text).type === 'ping') {
        queueMicrotask(() => socket.say({ type: 'pong' })); // it is silent for long, and there
      }
    };
    this.session = this.client.session(S, options);
    this.leave = this.session.open();
    return this.session;
  }

  get view() {
    return this.session.view.get();
  }

  get texts() {
    return this.view.state.items.filter(({ kind }) => kind === 'text').map(({ text }) => text);
  }

  /** The answer to what was asked last. */
  subscribed(fields = {}) {
    const { id, after, history } = this.asked;
    const mode = history === 'none' || after?.seq === this.log.length ? 'live' : 'replay';
    this.world.socket.say({
      type: 'subscribed', id, sessionId: S, epoch: this.epoch, head: this.log.length, mode, phase: 'idle', agent: 'a', title: 'Title', workspace: '/w', policy: 'ask', pending: [], ...fields,
    });
    return mode;
  }

  /** The same with all that was missed. */
  replay(fields) {
    const from = this.asked.after?.seq ?? 0;
    if (this.subscribed(fields) === 'replay') {
      this.push(this.log.slice(from));
      this.world.socket.say({ type: 'replay_complete', sessionId: S, seq: this.log.length });
    }
  }

  push(events) {
    events.forEach((event) => this.world.socket.say(event));
  }

  /** A further turn, said live. */
  another() {
    const before = this.log.length;
    this.log = logOf(before / 4 + 1);
    this.push(this.log.slice(before));
  }

  assertWhole() {
    const { head, title, workspace, agent, policy, ...state } = this.view.state;
    const { head: _, title: t, workspace: w, agent: a, policy: p, ...wanted } = reduceAll(emptySession(S, this.epoch), this.log);
    assert.equal(this.view.earlier, null);
    assert.deepEqual(structuredClone(state), structuredClone(wanted));
  }
}

/** The end is shown, and what is before it is held up. */
async function atEnd(turns = 10) {
  const played = new Played(turns);
  played.held = [];
  await played.watch();
  played.subscribed();
  played.replay();
  await played.world.pass(0);
  return played;
}

const letGo = async (played) => {
  const { held } = played;
  played.held = null;
  held.forEach((go) => go());
  await played.world.pass(1_000);
};

test('a long session: first how long it is, then its end, then what is before it', async () => {
  const played = new Played(10);
  played.held = [];
  await played.watch();
  assert.deepEqual([played.asked.history, played.asked.after], ['none', undefined]);
  played.subscribed();
  assert.deepEqual([played.asked.history, played.asked.after], [undefined, { epoch: 'e1', seq: 32 }]);
  assert.deepEqual([played.view.state.title, played.view.state.partial], ['Title', true], 'what it is is known already');
  played.replay();
  assert.deepEqual([played.view.sync, played.view.earlier.state], ['live', 'loading']);
  assert.deepEqual(played.texts, ['text 9', 'text 10']);
  assert.equal(library.sessionName({ ...played.view.state, title: null }), '', 'the first prompt that is there is not its first one');
  const last = played.view.state.items.at(-1);
  played.another();
  await letGo(played);
  assert.deepEqual(played.texts, Array.from({ length: 11 }, (_, at) => `text ${at + 1}`));
  played.assertWhole();
  assert.equal(played.view.state.items.find(({ key }) => key === last.key), last, 'what was shown is the same as before');
  assert.deepEqual(played.pages.slice(0, 2), ['e1:0', 'e1:4']);
  assert.equal(played.world.socket.of('subscribe').length, 2);
});

test('what is before comes in a step of its own', async () => {
  const played = await atEnd();
  const steps = [played.view.state.items];
  played.session.view.subscribe(() => steps.push(played.view.state.items));
  const { setTimeout } = played.world.platform;
  played.world.platform.setTimeout = (call, ms) => {
    played.world.platform.setTimeout = setTimeout;
    played.another(); // while a page is applied
    return setTimeout(call, ms);
  };
  await letGo(played);
  played.another();
  const kinds = steps.slice(1).map((items, at) => (items[0] === steps[at][0] ? (items.length > steps[at].length ? 'later' : 'same') : items.at(-1) === steps[at].at(-1) ? 'earlier' : 'both'));
  assert.deepEqual([...new Set(kinds)].filter((kind) => kind !== 'same').sort(), ['earlier', 'later']);
  assert.equal(kinds.filter((kind) => kind === 'earlier').length, 1);
  played.assertWhole();
});

test('pages that are ahead of what is pushed: shown when that has come', async () => {
  const played = await atEnd();
  const before = played.log.length;
  played.log = logOf(before / 4 + 1); // recorded, and not pushed yet
  await letGo(played);
  assert.notEqual(played.view.earlier, null);
  assert.deepEqual(played.texts, ['text 9', 'text 10']);
  const { length } = played.pages;
  played.push(played.log.slice(before));
  played.another(); // and goes on
  await played.world.pass(0);
  played.assertWhole();
  assert.equal(played.pages.length, length, 'nothing was fetched for that');
});

test('a short session comes as a whole; where the list says how short, at once', async () => {
  const short = new Played(5);
  await short.watch();
  short.subscribed();
  assert.equal(short.asked.history, 'full');
  short.replay();
  short.assertWhole();
  const known = new Played(5);
  known.client = await known.world.live();
  known.client.watchSessions();
  known.world.socket.say({ type: 'sessions', items: [{ sessionId: S, head: 20 }] });
  known.session = known.client.session(S, { history: 'end', first: 8 });
  known.session.open();
  assert.equal(known.asked.history, 'full');
  known.replay();
  known.assertWhole();
  assert.deepEqual(known.pages, []);
});

test('the connection goes and comes while what is before is fetched', async () => {
  const played = await atEnd();
  played.world.socket.hangUp();
  await settle();
  assert.deepEqual([played.view.sync, played.view.earlier.state], ['waiting', 'waiting']);
  assert.deepEqual(played.texts, ['text 9', 'text 10'], 'what was there stays');
  await letGo(played);
  assert.equal(played.view.earlier.state, 'waiting', 'what was on its way is of no interest');
  played.log = logOf(12);
  played.world.socket.accept();
  assert.deepEqual(played.asked.after, { epoch: 'e1', seq: 40 });
  played.replay({ title: 'Another' });
  await played.world.pass(1_000);
  assert.deepEqual([played.view.state.title, played.view.sync], ['Another', 'live']);
  played.assertWhole();
});

test('it goes when all is there but for what is not pushed yet', async () => {
  const played = await atEnd();
  played.log = logOf(11);
  await letGo(played);
  played.world.socket.hangUp();
  await settle();
  played.assertWhole();
  assert.equal(played.view.sync, 'waiting');
  await played.world.pass(1_000);
  played.world.socket.accept();
  assert.deepEqual(played.asked.after, { epoch: 'e1', seq: 44 });
});

test('what cannot be had now is tried again by itself, or by hand; what is refused only by hand', async () => {
  const played = await atEnd();
  played.refusal = () => Response.json({ code: 'busy', title: 'Busy', status: 503 }, { status: 503, headers: { 'retry-after': '7' } });
  await letGo(played);
  assert.deepEqual([played.view.earlier.state, played.view.earlier.error.message, played.view.sync], ['waiting', 'Busy', 'live']);
  const count = played.pages.length;
  await played.world.pass(5_000);
  assert.equal(played.pages.length, count);
  await played.world.pass(1_000);
  assert.equal(played.pages.length, count + 1);
  played.session.loadEarlier();
  await settle();
  assert.equal(played.pages.length, count + 2);
  played.refusal = () => Response.json({ code: 'not_found', title: 'No', status: 404 }, { status: 404 });
  await played.world.pass(60_000);
  assert.equal(played.view.earlier.state, 'failed');
  const refused = played.pages.length;
  await played.world.pass(600_000);
  assert.equal(played.pages.length, refused);
  played.refusal = null;
  played.session.loadEarlier();
  assert.equal(played.view.earlier.state, 'loading');
  await played.world.pass(1_000);
  played.assertWhole();
});

test('a hole at the end is mended there; what is before comes all the same', async () => {
  const played = await atEnd();
  played.log = logOf(11);
  played.push(played.log.slice(42)); // two are missing
  assert.deepEqual([played.view.sync, played.texts], ['catching_up', ['text 9', 'text 10']]);
  await letGo(played);
  assert.deepEqual(played.asked.after, { epoch: 'e1', seq: 40 });
  assert.notEqual(played.view.earlier, null, 'not before it is mended');
  played.replay();
  await played.world.pass(1_000);
  played.assertWhole();
});

test('more comes meanwhile than is kept: it is fetched as well', async () => {
  const played = await atEnd();
  const { held } = played;
  for (let turns = 0; turns < 600; turns++) {
    played.another();
  }
  assert.ok(held.length >= 1);
  await letGo(played);
  await played.world.pass(10_000);
  played.assertWhole();
});

test('another history: all of it anew, and nothing of the one before', async () => {
  const played = await atEnd();
  played.epoch = 'e2';
  played.log = logOf(12).map((event) => ({ ...event, ...(event.text ? { text: `new ${event.text}` } : {}), ...(event.delta ? { delta: `new ${event.delta}` } : {}) }));
  await letGo(played); // a page says so first
  assert.deepEqual([played.asked.history, played.asked.after], ['none', undefined]);
  played.subscribed();
  played.replay();
  await played.world.pass(1_000);
  played.assertWhole();
  assert.equal(played.texts[0], 'new text 1');
});

test('a reset by the server while what is before is fetched', async () => {
  const played = await atEnd();
  played.world.socket.hangUp();
  await played.world.pass(1_000);
  played.epoch = 'e2';
  played.world.socket.accept();
  played.subscribed({ mode: 'reset' });
  assert.equal(played.view.earlier, null);
  played.push(played.log);
  played.world.socket.say({ type: 'replay_complete', sessionId: S, seq: played.log.length });
  played.assertWhole();
  await letGo(played);
  played.assertWhole();
});

test('who leaves and comes back goes on; what is erased meanwhile is not asked for any more', async () => {
  const played = await atEnd();
  played.leave();
  assert.deepEqual([played.view.sync, played.view.earlier.state], ['closed', 'waiting']);
  await letGo(played);
  const { length } = played.pages;
  await played.world.pass(60_000);
  assert.equal(played.pages.length, length);
  played.session.loadEarlier();
  assert.equal(played.pages.length, length, 'nobody looks at it');
  played.leave = played.session.open();
  assert.deepEqual(played.asked.after, { epoch: 'e1', seq: 40 });
  played.held = [];
  played.replay();
  await played.world.pass(0);
  assert.equal(played.view.earlier.state, 'loading');
  played.world.socket.say({ type: 'unsubscribed', sessionId: S, reason: 'erased' });
  assert.deepEqual([played.view.sync, played.view.earlier.state], ['waiting', 'waiting']);
  await letGo(played);
  const { id } = played.asked;
  played.world.socket.say({ type: 'nack', id, sessionId: S, code: 'not_found', message: 'no such session', retryable: false });
  const erased = played.pages.length;
  await played.world.pass(60_000);
  assert.equal(played.pages.length, erased);
  assert.equal(played.view.error.code, 'not_found');
});

test('who forgets it while it is fetched asks from the beginning', async () => {
  const played = await atEnd();
  played.session.refresh();
  assert.equal(played.view.earlier, null);
  assert.equal(played.asked.history, 'none');
  played.subscribed();
  played.replay();
  await letGo(played);
  played.assertWhole();
});

test('pages that do not fit together: never wrong text, and tried anew', async () => {
  const played = await atEnd();
  const { answer } = played.world;
  let isWrong = true;
  played.world.answer = async (...asked) => {
    const page = await (await answer(...asked)).json();
    return Response.json(isWrong ? { ...page, events: page.events.filter(({ seq }) => seq !== 6) } : page);
  };
  await letGo(played);
  assert.deepEqual([played.texts, played.view.state.partial], [['text 9', 'text 10'], true]);
  isWrong = false;
  await played.world.pass(60_000);
  played.assertWhole();
});
