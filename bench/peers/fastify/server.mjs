// A server of agent sessions as Node programs of this field are built: it parses each line of an agent, gathers text
// for 50 ms, numbers an event, encodes it once and sends it to everybody who watches. It keeps nothing on a disk.
// It speaks as much of Signalbox's protocol as signalbox-bench needs, and plays the same agents with the same script.
//
//     server.mjs FOLDER     agents are on the Unix socket FOLDER/agents
import net from 'node:net';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import Fastify from 'fastify';
import { WebSocketServer } from 'ws';

const WINDOW_MS = 50;
const [folder] = process.argv.slice(2);
const epoch = randomBytes(12).toString('base64url');
const sessions = new Map();

/** One agent: JSON-RPC, one message a line. */
class Agent {
  #socket;
  #rest = '';
  #calls = new Map();
  #next = 0;

  constructor(onUpdate) {
    this.#socket = net.connect(path.join(folder, 'agents'));
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop();
      for (const line of lines) {
        const message = JSON.parse(line);
        if (message.method === 'session/update') {
          onUpdate(message.params.update);
        } else if (message.method === undefined) {
          this.#calls.get(message.id)?.(message);
          this.#calls.delete(message.id);
        }
      }
    });
  }

  call(method, params) {
    const id = this.#next++;
    this.#socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`);
    return new Promise((done) => this.#calls.set(id, done));
  }
}

class Session {
  id = randomBytes(16).toString('base64url');
  watchers = new Set();
  events = []; // encoded, for who comes later
  #agent = new Agent((update) => this.#take(update));
  #agentSession;
  #turn = 0;
  #message = 0;
  #text = ''; // of the message so far
  #waiting = '';
  #began; // the number of the event that began the message
  #timer = null;

  async open() {
    await this.#agent.call('initialize', { protocolVersion: 1, clientCapabilities: {} });
    const { result } = await this.#agent.call('session/new', { cwd: folder, mcpServers: [] });
    this.#agentSession = result.sessionId;
    this.#add('status', { phase: 'idle' });
  }

  async prompt(text) {
    this.#turn++;
    this.#add('turn_started', { turnId: `turn-${this.#turn}` });
    const { result } = await this.#agent.call('session/prompt', {
      sessionId: this.#agentSession, prompt: [{ type: 'text', text }],
    });
    this.#endMessage();
    this.#add('complete', { turnId: `turn-${this.#turn}`, stopReason: result?.stopReason ?? 'error' });
    this.#add('status', { phase: 'idle' });
  }

  #take(update) {
    if (update.sessionUpdate !== 'agent_message_chunk') {
      this.#endMessage();
      this.#add('agent_update', { update });
      return;
    }
    this.#waiting += update.content.text;
    this.#timer ??= setTimeout(() => this.#flush(), WINDOW_MS);
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting !== '') {
      const offset = Buffer.byteLength(this.#text);
      this.#add('text_delta', {
        turnId: `turn-${this.#turn}`, messageId: `m${this.#turn}-${this.#message}`, offset, delta: this.#waiting,
        began: offset === 0 ? undefined : this.#began,
      });
      this.#began = offset === 0 ? this.events.length : this.#began;
      this.#text += this.#waiting;
      this.#waiting = '';
    }
  }

  #endMessage() {
    this.#flush();
    if (this.#text !== '') {
      this.#add('text_complete', {
        turnId: `turn-${this.#turn}`, messageId: `m${this.#turn}-${this.#message++}`, text: this.#text,
      });
      this.#text = '';
    }
  }

  #add(type, members) {
    const event = { seq: this.events.length + 1, ts: Date.now(), type, sessionId: this.id, ...members };
    const frame = Buffer.from(JSON.stringify(event));
    this.events.push(frame);
    for (const watcher of this.watchers) {
      watcher.send(frame, { binary: false });
    }
  }
}

async function answer(socket, command) {
  const say = (message) => socket.send(JSON.stringify(message));
  const session = sessions.get(command.sessionId);
  if (command.type === 'create_session') {
    const made = new Session();
    sessions.set(made.id, made);
    await made.open();
    say({ type: 'ack', id: command.id, sessionId: made.id });
  } else if (command.type === 'subscribe' && session) {
    const after = command.after?.seq ?? 0;
    const head = session.events.length;
    say({ type: 'subscribed', id: command.id, sessionId: session.id, epoch, head, mode: head > after ? 'replay' : 'live' });
    for (const frame of session.events.slice(after)) {
      socket.send(frame, { binary: false });
    }
    if (head > after) {
      say({ type: 'replay_complete', sessionId: session.id, seq: head });
    }
    session.watchers.add(socket);
    socket.on('close', () => session.watchers.delete(socket));
  } else if (command.type === 'prompt' && session) {
    say({ type: 'ack', id: command.id });
    await session.prompt(command.text);
  } else {
    say({ type: 'nack', id: command.id, code: 'bad_request' });
  }
}

const app = Fastify();
app.get('/healthz', async () => ({ ok: true }));
const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false, handleProtocols: () => 'signalbox.v1' });
app.server.on('upgrade', (request, socket, head) => {
  upgrades.handleUpgrade(request, socket, head, (client) => {
    client.on('message', (data) => answer(client, JSON.parse(data)));
    client.on('error', () => {});
    client.send(JSON.stringify({ type: 'connected', protocol: 'signalbox.v1', server: { name: 'fastify' } }));
  });
});
process.on('SIGTERM', () => process.exit(0));
const address = await app.listen({ host: '127.0.0.1', port: 0 });
console.error(`msg="ready to serve" address=${address}`);
