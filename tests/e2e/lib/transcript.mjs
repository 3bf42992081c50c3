// What an agent said in a recorded session, turn by turn, as a host must show it.
import { readFileSync } from 'node:fs';

const newTurn = (id) => ({
  id,
  text: '',
  thought: '',
  tools: new Map(), // toolCallId -> its fields as they are after all that was said of them
  permissions: 0,
  answers: [], // optionId, or null for what was cancelled; in the order of the requests
  cancelAfter: null, // how much had come when the client cancelled: {text, tools, permissions}
  others: [], // updates that have no event of their own
  stopReason: null,
});

const KNOWN = ['session_info_update', 'current_mode_update', 'config_option_update'];
const FINAL = ['completed', 'failed'];

/** Without the `_meta` members, which are the agent's own. */
export function clean(value) {
  if (Array.isArray(value)) {
    return value.map(clean);
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  return Object.fromEntries(Object.entries(value).filter(([key]) => key !== '_meta').map(([key, of]) => [key, clean(of)]));
}

export const readLines = (file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

/** The turns of the first session that the recorded client made (or, with `loads`, loaded); its last plan, usage and commands; and
 * what it said besides. */
export function readTranscript(file, { loads = false } = {}) {
  const turns = [];
  const last = {};
  const others = []; // outside of turns
  const requests = new Map();
  const asked = new Map();
  const opens = loads ? 'session/load' : 'session/new';
  let session = null;
  let sessionRequest = null;
  let isOurs = false; // whether what comes outside of a turn follows a request that Signalbox makes too
  for (const { dir, msg } of readLines(file)) {
    const open = () => turns.find((turn) => turn.stopReason === null);
    const { method, params = {}, id } = msg;
    if (dir === 'out' && method) {
      const named = params.sessionId ?? session;
      isOurs = ['initialize', opens, 'session/prompt'].includes(method) && named === session;
      if (method === opens && sessionRequest === null) {
        sessionRequest = id;
        session = loads ? params.sessionId : null;
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
      const { status, ...fields } = params.toolCall; // what is asked for is not over
      takeTool(turn, FINAL.includes(status) ? fields : params.toolCall);
    } else if (dir === 'in' && method === 'session/update' && (params.sessionId === session || session === null)) {
      const isReplayed = loads && turns.length === 0;
      take(params.update, { turn: open(), last, others, isOurs, isReplayed });
    }
  }
  // The recording may end in a turn; what is behind it cannot be played.
  const end = turns.findIndex((turn) => turn.stopReason === null);
  return { turns: end < 0 ? turns : turns.slice(0, end), last: end < 0 ? last : null, others };
}

function takeTool(turn, { toolCallId, sessionUpdate, ...fields }) {
  const given = Object.entries(clean(fields)).filter(([, value]) => value !== null && value !== undefined);
  const before = turn.tools.get(toolCallId) ?? { kind: 'other', status: 'pending' };
  turn.tools.set(toolCallId, { ...before, ...Object.fromEntries(given) });
}

function take(update, { turn, last, others, isOurs, isReplayed }) {
  const kind = update.sessionUpdate;
  const isText = update.content?.type === 'text';
  if (kind === 'agent_message_chunk' && turn && isText) {
    turn.text += update.content.text;
  } else if (kind === 'agent_thought_chunk' && turn && isText) {
    turn.thought += update.content.text;
  } else if (['tool_call', 'tool_call_update'].includes(kind) && turn) {
    takeTool(turn, update);
  } else if (turn || isOurs) {
    if (kind === 'plan') {
      last.plan = clean(update.entries);
    } else if (kind === 'usage_update') {
      const { used, size, cost } = clean(update);
      last.usage = JSON.parse(JSON.stringify({ used, size, cost }));
    } else if (kind === 'available_commands_update') {
      last.commands = update.availableCommands.map(({ name, description, input }) =>
        ({ name, description, ...(input?.hint ? { hint: input.hint } : {}) }));
    } else if (!KNOWN.includes(kind) && !isReplayed) {
      (turn?.others ?? others).push(clean(update));
    }
  }
}

// ---- Tool calls ----

const textOf = ({ type, content }) => (type === 'content' && content.type === 'text' && !content.annotations ? content.text : undefined);

/** What is in it beside copies of the text; undefined: nothing. */
function besides(value, text) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return value === null || value === text ? undefined : value;
  }
  const more = Object.entries(value).filter(([, of]) => of !== text).map(([key, of]) => [key, of]);
  const isMore = (of) => besides(of, text) !== undefined;
  return more.some(([, of]) => isMore(of))
    ? Object.fromEntries(more.map(([key, of]) => [key, of && typeof of === 'object' && !Array.isArray(of) ? withoutCopies(of, text) : of]))
    : undefined;
}

const withoutCopies = (object, text) =>
  Object.fromEntries(Object.entries(object).filter(([, of]) => of !== text).map(([key, of]) =>
    [key, of && typeof of === 'object' && !Array.isArray(of) ? withoutCopies(of, text) : of]));

/** A call of a recorded turn in the words of the protocol. `result` is undefined where the recording does not say which text it is. */
export function expectedTool({ kind, status, title, rawInput, locations, content = [], rawOutput }, shownResult) {
  const texts = content.map(textOf);
  const all = content.length > 0 && texts.every((text) => text !== undefined);
  const known = texts.filter((text) => text !== undefined).join('\n');
  const isFinal = FINAL.includes(status);
  const input = rawInput === undefined ? {} : typeof rawInput === 'object' && !Array.isArray(rawInput) ? rawInput : { value: rawInput };
  return {
    kind,
    title,
    input,
    locations,
    status: isFinal ? undefined : status, // of one that is over, the result says it
    result: texts.some((text) => text !== undefined) && known !== '' ? known : shownResult,
    content: all || content.length === 0 ? undefined : content,
    rawOutput: besides(rawOutput, shownResult),
    isError: status !== 'completed',
  };
}

/** The same of a call as a watcher has it: its start, updates and result merged. */
export function shownTool({ kind, toolDisplayName, title = toolDisplayName, toolInput, locations, status = 'pending', result }) {
  const { result: text, content, rawOutput, isError } = result;
  return { kind, title, input: toolInput, locations, status, result: text, content, rawOutput, isError };
}
