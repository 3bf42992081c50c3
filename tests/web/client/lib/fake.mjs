// A world whose time and network belong to the test.
import assert from 'node:assert/strict';
import { library } from './library.mjs';

/** Clock and timers that move when they are told to. `random` is a number, or a function. */
export class FakeWorld {
  time = 1_700_000_000_000;
  timers = [];
  ids = 0;
  sockets = [];
  fetched = [];
  random = 0.5;
  wakers = new Set();
  answer = () => new Response('{}', { status: 200 });

  constructor() {
    const world = this;
    this.platform = {
      now: () => this.time,
      setTimeout: (call, ms) => {
        assert.ok(Number.isFinite(ms), `a timer of ${ms} ms`);
        const timer = { at: this.time + Math.max(0, ms), call };
        this.timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        this.timers = this.timers.filter((each) => each !== timer);
      },
      random: () => (typeof this.random === 'function' ? this.random() : this.random),
      newId: () => `id-${++this.ids}`,
      fetch: async (url, init) => {
        this.fetched.push({ url, ...init });
        return this.answer(url, init);
      },
      WebSocket: class extends FakeSocket {
        constructor(...args) {
          super(...args);
          world.sockets.push(this);
        }
      },
      onWake: (wake, doubt) => {
        const each = { wake, doubt };
        this.wakers.add(each);
        return () => this.wakers.delete(each);
      },
      isBrowser: true,
    };
  }

  /** Lets time pass; what is due on the way happens at its time. */
  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const due = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) {
        break;
      }
      this.timers = this.timers.filter((timer) => timer !== due);
      this.time = Math.max(this.time, due.at);
      due.call();
    }
    this.time = end;
    await settle();
  }

  /** The machine sleeps: the clock goes on, timers do not fire on the way. */
  sleep(ms) {
    this.time += ms;
  }

  wake() {
    this.wakers.forEach(({ wake }) => wake());
  }

  /** The browser says that there is no network. */
  cut() {
    this.wakers.forEach(({ doubt }) => doubt());
  }

  get socket() {
    return this.sockets.at(-1);
  }

  client(options = {}) {
    return new library.SignalboxClient({ url: 'http://box.test', platform: this.platform, batchMs: 0, warn: () => {}, ...options });
  }

  /** A client that is connected. */
  async live(options) {
    const client = this.client(options).start();
    this.socket.accept();
    return client;
  }
}

/** What was promised may be looked at by those who wait for it. */
export const settle = () => new Promise((done) => setImmediate(done));

export class FakeSocket {
  readyState = 0;
  bufferedAmount = 0;
  sent = [];
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  isLeft = false;

  constructor(url, protocols, options) {
    Object.assign(this, { url, protocols, options });
  }

  send(text) {
    assert.equal(this.readyState, 1, 'only an open socket is written to');
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.isLeft = true;
    this.leftWith = code;
  }

  // ---- the server's side ----

  accept(fields = {}) {
    this.readyState = 1;
    this.onopen?.({});
    this.say({
      type: 'connected', protocol: 'signalbox.v1', clientId: 'c', user: 'ada', server: { name: 'signalbox', version: '0', instance: 'i' },
      heartbeatMs: 25_000, limits: { maxMessageBytes: 1 << 20, maxCommandsInFlight: 64, maxSubscriptions: 100 }, timestamp: 1_700_000_000_000,
      ...fields,
    });
  }

  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  hangUp(code = 1006, reason = '') {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  of(type) {
    return this.sent.filter((message) => message.type === type);
  }

  last(type) {
    return this.of(type).at(-1);
  }
}
