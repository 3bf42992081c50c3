// What an agent said in a recorded session, turn by turn, as a host must show it.
import { readFileSync } from 'node:fs';

const newTurn = (id) => ({
  id,
  text: '',
  thought: '',
  tools: new Map(), // toolCallId -> kind
  permissions: 0,
  answers: [], // optionId, or null for what was cancelled; in the order of the requests
  cancelAfter: null, // how much had come when the client cancelled: {text, tools, permissions}
  stopReason: null,
});

/** The turns of the first session that the recorded client made, and its last plan, usage and commands. */
export function readTranscript(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const turns = [];
  const last = {};
  const requests = new Map();
  const asked = new Map();
  let session = null;
  let sessionRequest = null;
  let isOurs = false; // whether what comes outside of a turn follows a request that Signalbox makes too
  for (const { dir, msg } of lines.map((line) => JSON.parse(line))) {
    const open = () => turns.find((turn) => turn.stopReason === null);
    const { method, params = {}, id } = msg;
    if (dir === 'out' && method) {
      const named = params.sessionId ?? session;
      isOurs = ['initialize', 'session/new', 'session/prompt'].includes(method) && named === session;
      if (method === 'session/new' && sessionRequest === null) {
        sessionRequest = id;
        isOurs = true;
      } else if (method === 'session/prompt' && params.sessionId === session) {
        const turn = newTurn(id);
        turns.push(turn);
        requests.set(id, turn);
      } else if (method === 'session/cancel' && params.sessionId === session && open()) {
        const turn = open();
        turn.cancelAfter ??= { text: turn.text.length, tools: turn.tools.size, permissions: turn.permissions };
      }
    } else if (dir === 'out' && asked.has(id)) {
      const outcome = msg.result?.outcome;
      const { turn, index } = asked.get(id);
      turn.answers[index] = outcome?.outcome === 'selected' ? outcome.optionId : null;
    } else if (dir === 'in' && method === undefined) {
      if (id === sessionRequest && session === null) {
        session = msg.result.sessionId;
      }
      const turn = requests.get(id);
      if (turn) {
        turn.stopReason = msg.error ? 'error' : msg.result.stopReason;
      }
    } else if (dir === 'in' && method === 'session/request_permission' && params.sessionId === session) {
      const turn = open();
      asked.set(id, { turn, index: turn.permissions++ });
      takeTool(turn, params.toolCall);
    } else if (dir === 'in' && method === 'session/update' && (params.sessionId === session || session === null)) {
      take(params.update, open(), last, isOurs);
    }
  }
  // The recording may end in a turn; what is behind it cannot be played.
  const end = turns.findIndex((turn) => turn.stopReason === null);
  return { turns: end < 0 ? turns : turns.slice(0, end), last: end < 0 ? last : null };
}

function takeTool(turn, call) {
  if (call.kind || !turn.tools.has(call.toolCallId)) {
    turn.tools.set(call.toolCallId, call.kind ?? 'other');
  }
}

function take(update, turn, last, isOurs) {
  const kind = update.sessionUpdate;
  if (kind === 'agent_message_chunk' && turn && update.content.type === 'text') {
    turn.text += update.content.text;
  } else if (kind === 'agent_thought_chunk' && turn && update.content.type === 'text') {
    turn.thought += update.content.text;
  } else if (['tool_call', 'tool_call_update'].includes(kind) && turn) {
    takeTool(turn, update);
  } else if (turn || isOurs) {
    if (kind === 'plan') {
      last.plan = update.entries;
    } else if (kind === 'usage_update') {
      last.usage = { used: update.used, size: update.size };
    } else if (kind === 'available_commands_update') {
      last.commands = update.availableCommands.map((command) => command.name);
    }
  }
}
