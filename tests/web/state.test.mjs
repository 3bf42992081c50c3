// The page's reducer: events of the native protocol in, a session's state out.
import assert from "node:assert/strict";
import test from "node:test";

import { emptySession, item, reduce, sessionName, subscribed } from "../../web/state.js";
import { commandOf, fences, lineDiff, terminalText } from "../../web/text.js";

const play = (events, state = emptySession("s1")) => events.reduce(reduce, state);
const numbered = (events) =>
  events.map((e, i) => ({ sessionId: "s1", seq: i + 1, ts: 1000 + i, ...e }));
const run = (...events) => play(numbered(events));
const seen = (state) => ({ ...state, index: null });

test("the next event is applied, an old one changes nothing at all", () => {
  const [a, b] = numbered([
    { type: "text_delta", messageId: "m1", offset: 0, delta: "Hello" },
    { type: "text_delta", messageId: "m1", offset: 5, delta: ", world" },
  ]);
  const once = play([a, b]);
  assert.equal(item(once, "text:m1").text, "Hello, world");
  assert.equal(once.seq, 2);
  assert.equal(reduce(reduce(once, b), a), once);
});

test("offsets count UTF-16 units", () => {
  const state = run(
    { type: "text_delta", messageId: "m1", offset: 0, delta: "a😀" },
    { type: "text_delta", messageId: "m1", offset: 3, delta: "é" },
  );
  assert.equal(item(state, "text:m1").text, "a😀é");
  assert.equal(state.hole, null);
});

test("the same text under new numbers, also folded, leaves the text as it is", () => {
  const state = run(
    { type: "text_delta", messageId: "m1", offset: 0, delta: "abc" },
    { type: "text_delta", messageId: "m1", offset: 0, delta: "abc" },
    { type: "text_delta", messageId: "m1", offset: 3, delta: "def" },
    { type: "text_delta", messageId: "m1", offset: 1, delta: "bc" },
  );
  assert.equal(item(state, "text:m1").text, "abcdef");
  const folded = reduce(state, { type: "text_delta", from: 5, seq: 9, messageId: "m1", offset: 0,
    delta: "abcdefghi" });
  assert.equal(item(folded, "text:m1").text, "abcdefghi");
  assert.equal(folded.seq, 9);
});

test("text_complete is the whole truth, and no delta comes after it", () => {
  const state = run(
    { type: "text_delta", messageId: "m1", offset: 0, delta: "dra" },
    { type: "text_complete", messageId: "m1", text: "draft, whole", isIntermediate: false },
    { type: "text_delta", messageId: "m1", offset: 0, delta: "XXX" },
  );
  assert.equal(item(state, "text:m1").text, "draft, whole");
  assert.equal(item(state, "text:m1").done, true);
  assert.equal(item(state, "text:m1").intermediate, false);
});

test("a hole in the numbers is seen, and nothing is applied after it", () => {
  const state = play([
    { type: "text_delta", seq: 1, messageId: "m1", offset: 0, delta: "a" },
    { type: "text_delta", seq: 3, messageId: "m1", offset: 2, delta: "c" },
  ]);
  assert.deepEqual(state.hole, { expected: 2, got: 3 });
  assert.equal(item(state, "text:m1").text, "a");
  assert.equal(reduce(state, { type: "title", seq: 2, title: "late" }), state);
});

test("a history that does not begin at its beginning is a hole", () => {
  assert.ok(play([{ type: "title", seq: 4, title: "x" }]).hole);
  assert.equal(play([{ type: "title", from: 1, seq: 4, title: "x" }]).hole, null);
});

test("a hole in the text is one too, also where the numbers fit", () => {
  const state = run(
    { type: "text_delta", messageId: "m1", offset: 0, delta: "ab" },
    { type: "text_delta", messageId: "m1", offset: 5, delta: "f" },
  );
  assert.ok(state.hole);
  assert.equal(item(state, "text:m1").text, "ab");
});

test("deltas of a message whose beginning was not seen are dropped", () => {
  const state = run({ type: "text_delta", messageId: "m1", offset: 7, delta: "end" });
  assert.equal(state.hole, null);
  assert.equal(state.items.length, 0);
});

test("a folded history gives the same as the events one by one", () => {
  const whole = numbered([
    { type: "session_created", agent: "shell", workspace: "/srv", createdBy: "ann" },
    { type: "user_message", messageId: "u1", text: "go", by: "ann", status: "accepted" },
    { type: "user_message", messageId: "u1", text: "go", by: "ann", status: "processing", ts: 7 },
    { type: "turn_started", turnId: "t1", by: "ann", messageId: "u1" },
    { type: "thought_delta", turnId: "t1", messageId: "h1", offset: 0, delta: "Hm", ts: 8 },
    { type: "thought_complete", turnId: "t1", messageId: "h1", text: "Hm", ts: 8 },
    { type: "tool_start", turnId: "t1", toolUseId: "x1", toolName: "sh", kind: "execute",
      toolInput: { command: "ls" } },
    { type: "tool_update", turnId: "t1", toolUseId: "x1", status: "in_progress" },
    { type: "tool_output", turnId: "t1", toolUseId: "x1", offset: 0, delta: "a\n" },
    { type: "tool_result", turnId: "t1", toolUseId: "x1", toolName: "sh", result: "a\n",
      isError: false },
    { type: "text_delta", turnId: "t1", messageId: "m1", offset: 0, delta: "Do", ts: 9 },
    { type: "text_complete", turnId: "t1", messageId: "m1", text: "Done", isIntermediate: false,
      ts: 9 },
    { type: "complete", turnId: "t1", stopReason: "end_turn", durationMs: 5 },
  ]);
  const fold = (event, from) => ({ ...event, from });
  const folded = [whole[0], fold(whole[2], 2), whole[3], fold(whole[5], 5), whole[6],
    fold(whole[9], 8), fold(whole[11], 11), whole[12]];
  const [a, b] = [play(whole), play(folded)];
  assert.equal(b.hole, null);
  assert.equal(b.seq, 13);
  const plain = (state) =>
    seen({ ...state, items: state.items.map((i) => ({ ...i, output: null })) });
  assert.deepEqual(plain(b), plain(a));
  assert.equal(item(a, "tool:x1").output, "a\n");
});

test("tools: later fields replace earlier ones, output streams, the result ends it", () => {
  const start = numbered([
    { type: "tool_start", toolUseId: "x1", toolName: "Edit", kind: "edit",
      toolInput: { path: "a" } },
    { type: "tool_update", toolUseId: "x1", status: "in_progress", title: "Edit a",
      content: [{ type: "diff", path: "a", oldText: "1", newText: "2" }] },
    { type: "tool_output", toolUseId: "x1", offset: 0, delta: "one " },
    { type: "tool_output", toolUseId: "x1", offset: 4, delta: "two" },
  ]);
  const running = play(start);
  assert.deepEqual(
    (({ status, title, output, toolKind, done }) => ({ status, title, output, toolKind, done }))(
      item(running, "tool:x1")),
    { status: "in_progress", title: "Edit a", output: "one two", toolKind: "edit", done: false });
  assert.equal(item(running, "tool:x1").content[0].type, "diff");
  const failed = reduce(running, { type: "tool_result", seq: 5, toolUseId: "x1", toolName: "Edit",
    result: "no such file", isError: true });
  assert.equal(item(failed, "tool:x1").status, "failed");
  assert.equal(item(failed, "tool:x1").result, "no such file");
  assert.deepEqual(item(failed, "tool:x1").content, []);
  assert.equal(item(running, "tool:x1").done, false, "the state before is left as it was");
});

const request = (requestId) => ({ type: "permission_request", turnId: "t1", request: {
  requestId, toolName: "sh", command: "rm x", toolUseId: "x1", createdAt: 1, expiresAt: 2,
  acpOptions: [{ optionId: "o1", name: "Allow", kind: "allow_once" }] } });

test("permissions: asked, answered, run out, taken back", () => {
  const asked = run(request("r1"), request("r2"), request("r3"));
  assert.deepEqual(asked.pending, ["r1", "r2", "r3"]);
  const ended = play([
    { type: "permission_resolved", seq: 4, requestId: "r2", outcome: "allowed", optionId: "o1",
      alwaysAllow: false, by: { user: "ann" }, cause: { clientId: "c" } },
    { type: "permission_timeout", seq: 5, requestId: "r1" },
    { type: "permission_cancelled", seq: 6, requestId: "r3", reason: "turn_cancelled" },
  ], asked);
  assert.deepEqual(ended.pending, []);
  assert.deepEqual(ended.items.map((i) => i.state), ["timeout", "resolved", "cancelled"]);
  const r2 = item(ended, "permission:r2");
  assert.deepEqual([r2.outcome, r2.optionId, r2.by, r2.cause.clientId],
    ["allowed", "o1", { user: "ann" }, "c"]);
  assert.equal(item(ended, "permission:r3").reason, "turn_cancelled");
  assert.equal(reduce(ended, { ...numbered([request("r1")])[0], seq: 7 }).pending.length, 0);
});

test("a queued prompt waits outside the conversation until it is taken up or back", () => {
  const message = (messageId, status, position) =>
    ({ type: "user_message", messageId, text: messageId, by: "ann", status, position });
  const queued = run(message("u1", "processing"), message("u2", "queued", 1),
    message("u3", "queued", 2));
  assert.deepEqual(queued.queue.map((m) => m.messageId), ["u2", "u3"]);
  assert.deepEqual(queued.items.map((i) => i.messageId), ["u1"]);
  const later = play([
    { ...message("u3", "withdrawn"), seq: 4 },
    { type: "text_complete", seq: 5, messageId: "m1", text: "one" },
    { ...message("u2", "processing"), seq: 6 },
  ], queued);
  assert.deepEqual(later.queue, []);
  assert.deepEqual(later.items.map((i) => i.key), ["user:u1", "user:u3", "text:m1", "user:u2"]);
  assert.equal(later.items[1].status, "withdrawn");
});

test("a turn ends once, errors stay, unknown types only move the position", () => {
  const state = run(
    { type: "turn_started", turnId: "t1", by: "ann", messageId: "u1" },
    { type: "something_new", anything: true },
    { type: "constructor" },
    { type: "error", error: "it died", code: "agent_exited", fatal: true },
    { type: "complete", turnId: "t1", stopReason: "agent_exited", durationMs: 3 },
  );
  assert.equal(state.seq, 5);
  assert.equal(state.turn, null);
  assert.deepEqual(state.items.map((i) => i.kind), ["error", "end"]);
});

test("subscribed: with a position the state stays, without one or after a reset it is new", () => {
  const state = { ...run({ type: "title", title: "old" }), epoch: "e1" };
  const answer = { sessionId: "s1", epoch: "e1", phase: "running", title: "new", agent: "shell" };
  const live = subscribed(state, { ...answer, mode: "live" }, false);
  assert.equal(live.seq, 1);
  assert.equal(live.phase, "running");
  const reset = subscribed(state, { ...answer, mode: "reset", epoch: "e2" }, false);
  assert.deepEqual([reset.seq, reset.epoch, reset.title], [0, "e2", "new"]);
  assert.equal(subscribed(state, { ...answer, mode: "replay" }, true).seq, 0);
});

test("two states that grew out of one do not disturb each other", () => {
  const base = run({ type: "text_complete", messageId: "m1", text: "1" });
  const one = reduce(base, { type: "text_complete", seq: 2, messageId: "m2", text: "2" });
  const two = play([
    { type: "text_complete", seq: 2, messageId: "m3", text: "3" },
    { type: "text_complete", seq: 3, messageId: "m2", text: "other" },
  ], base);
  assert.equal(item(one, "text:m2").text, "2");
  assert.equal(item(two, "text:m2").text, "other");
  assert.equal(item(base, "text:m2"), undefined);
});

test("a session without a title is called by what was asked first", () => {
  const state = run({ type: "user_message", messageId: "u1", text: "ls -la\nmore", by: "a",
    status: "processing" });
  assert.equal(sessionName(state), "ls -la");
  assert.equal(sessionName({ ...state, title: "Named" }), "Named");
});

test("fences, also one that is still open", () => {
  assert.deepEqual(fences("a\n```js\nlet x;\n```\nb").map((p) => [p.code, p.text]),
    [[false, "a"], [true, "let x;"], [false, "b"]]);
  assert.deepEqual(fences("a\n```\nopen").map((p) => [p.code, p.text]),
    [[false, "a"], [true, "open"]]);
  assert.deepEqual(fences("````\n```\n````").map((p) => p.text), ["```"]);
});

test("a terminal's text without its escape sequences", () => {
  assert.equal(terminalText("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\r\n10%\r50%\rdone\n\x1b[3"),
    "red x\ndone\n");
});

test("diffs and the line one knows a tool by", () => {
  assert.deepEqual(lineDiff("a\nb\nc\n", "a\nB\nc\n").map((r) => r.sign + r.text),
    [" a", "-b", "+B", " c"]);
  assert.deepEqual(lineDiff("", "x\n").map((r) => r.sign + r.text), ["+x"]);
  assert.equal(commandOf({ command: ["ls", "-l"] }), "ls -l");
  assert.equal(commandOf({ value: 3 }), "");
});
