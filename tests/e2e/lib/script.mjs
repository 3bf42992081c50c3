// Prompts for signalbox-scripted-agent (bench/scripted-agent/README.md has the language).
export const script = (...steps) => JSON.stringify({ steps });

export const say = (text) => ({ text });
export const think = (text) => ({ text, kind: 'thought' });
/** `chunks` chunks of `size` characters, `rate` a second (0: as fast as it can); see `streamed`. */
export const stream = (chunks, size, rate = 0) => ({ chunks, size, rate, seed: 1 });
/** {title, kind, input, output: text or bytes, outputChunks, rate, permission, fail, leaveOpen, ...} */
export const tool = (fields) => ({ tool: fields });
/** A permission request {options, tool}; after the answer the agent says `answer:OPTION`. */
export const ask = (fields = {}) => ({ permission: fields });
export const sleep = (ms) => ({ sleep: ms });
export const exit = (status = 0) => ({ exit: status });
export const die = (signal = 'SIGKILL') => ({ kill: signal });
/** A process of the agent's in a session of its own. */
export const spawn = (command) => ({ spawn: command });
/** A line as it is, JSON or not. */
export const raw = (text) => ({ raw: text });
export const GATE = 'gate';
/** Of a `gated` agent: here it waits. */
export const gate = () => raw(GATE);
/** On stderr: a text, or so many bytes. */
export const noise = (text) => ({ stderr: text });
export const fail = (error) => ({ error });
export const waitCancel = () => ({ waitCancel: true });

const ASCII = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .';

/** The text that `stream(chunks, size)` streams: the agent's generator, in its ASCII alphabet. */
export function streamed(chunks, size, seed = 1) {
  let state = seed >>> 0;
  let text = '';
  for (let i = 0; i < chunks * size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    text += ASCII[state >>> 26];
  }
  return text;
}
