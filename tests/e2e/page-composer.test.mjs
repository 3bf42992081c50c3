// Where one writes, and the keys that answer: what was typed is never lost, and never taken for something else.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { inline, scripted } from './lib/agents.mjs';
import { openApp, pendingCard, recorded, send, sessionAddress, turnsEnd } from './lib/app.mjs';
import { test as plainTest } from './lib/harness.mjs';
import { openBrowser } from './lib/page.mjs';
import { ask, die, say, script, waitCancel } from './lib/script.mjs';
import { startServer, temporaryFolder } from './lib/server.mjs';

const server = await startServer({ agents: { scripted: scripted() } });
const browser = await openBrowser();
const pages = [];

const options = [
  { optionId: 'always', name: 'Always', kind: 'allow_always' }, { optionId: 'once', name: 'Once', kind: 'allow_once' },
  { optionId: 'no', name: 'No', kind: 'reject_once' },
];
const asked = (command, id) => ask({ options, tool: { id, title: command, kind: 'execute', name: 'bash', input: { command } } });
const field = (page) => page.getByTestId('prompt-input');
const written = (page, text) =>
  page.waitForFunction((wanted) => document.querySelector('[data-testid=prompt-input]')?.value === wanted, text);
const focused = (page) => page.evaluate(() => document.activeElement?.dataset.testid);

/** Presses a key some frames after the page has what the selector finds (with this text); a page that is so slow that more than `within`
 * ms have gone by then presses none. `busy`: for so long the page does something else before it comes to the key. */
const pressAt = (page, selector, text, key, { frames = 0, within = Infinity, busy = 0 } = {}) => page.evaluate(([wanted, words, pressed, left, ms, late]) => new Promise((done) => {
  const press = (seen, more) => {
    if (more > 0) {
      requestAnimationFrame(() => press(seen, more - 1));
      return;
    }
    const at = performance.now();
    if (at - seen < (ms ?? Infinity)) {
      const event = new KeyboardEvent('keydown', { key: pressed, bubbles: true, cancelable: true });
      while (performance.now() - at < late);
      document.activeElement.dispatchEvent(event);
    }
    done();
  };
  const look = () => {
    if ([...document.querySelectorAll(wanted)].some((node) => node.textContent.includes(words))) {
      observer.disconnect();
      press(performance.now(), left);
    }
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  look();
}), [selector, text, key, frames, within, busy]);

/** A test after which nothing is in its pages that should not be. */
function test(name, run) {
  plainTest(name, async () => {
    await run();
    for (const page of pages.splice(0)) {
      assert.deepEqual(page.faults, []);
      await page.context().close();
    }
  });
}

/** A page of a new session: {page, session}. */
async function opened({ agent = 'scripted', ...more } = {}) {
  const session = await (await server.connect()).create(agent);
  const page = await openApp(browser, server, { at: sessionAddress(session), ...more });
  pages.push(page);
  await field(page).waitFor();
  return { page, session };
}

test('commands of the agent: found while one types, chosen by keys, with a hint of what follows', async () => {
  const { page } = await opened();
  await send(page, script({ commands: [{ name: 'review', description: 'Look at it', input: { hint: 'what to look at' } }, { name: 'plan', description: 'Plan it' }] }));
  await turnsEnd(page);
  await field(page).pressSequentially('/re');
  const offered = (count) => page.waitForFunction((wanted) => document.querySelectorAll('[data-testid=slash-menu] [role=option]').length === wanted, count);
  await offered(1);
  await page.keyboard.press('Enter');
  await written(page, '/review ');
  await page.locator('.prompt-field__hint', { hasText: 'what to look at' }).waitFor();
  await field(page).fill('/');
  await offered(2);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Tab');
  await written(page, '/plan ');
  await field(page).fill('/p');
  await offered(1);
  await page.keyboard.press('Escape');
  await page.getByTestId('slash-menu').waitFor({ state: 'detached' });
  await page.keyboard.press('Shift+Enter');
  await written(page, '/p\n');
});

test('a draft outlives a reload and a look elsewhere; each session has its own', async () => {
  const { page, session } = await opened();
  const other = await (await server.connect()).create('scripted');
  await field(page).fill('two\nlines');
  await page.reload();
  await written(page, 'two\nlines');
  await page.goto(server.url + sessionAddress(other));
  await written(page, '');
  await field(page).fill('of the other one');
  await page.goto(server.url + sessionAddress(session));
  await written(page, 'two\nlines');
});

test('one’s own prompts come back by the arrows, and what was begun is not thrown away', async () => {
  const { page } = await opened();
  for (const [at, text] of ['first', 'second'].entries()) {
    await send(page, text);
    await turnsEnd(page, at + 1);
  }
  await field(page).focus();
  await page.keyboard.press('ArrowUp');
  await written(page, 'second');
  await page.keyboard.press('ArrowUp');
  await written(page, 'first');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await written(page, '');
  await page.keyboard.type('begun');
  await page.keyboard.press('ArrowUp');
  await written(page, 'begun');
});

test('files: shown while they go up, told what is wrong with them, given to the agent', async () => {
  const { page, session } = await opened();
  const before = page.faults.length;
  await page.getByTestId('file-input').setInputFiles([
    { name: 'notes.md', mimeType: 'text/markdown', buffer: Buffer.from('# Notes\n') },
    { name: 'dot.png', mimeType: 'image/png', buffer: Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64') },
    { name: 'empty.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) },
  ]);
  const huge = path.join(temporaryFolder(), 'huge.bin'); // by its path: Playwright would bring it piece by piece
  writeFileSync(huge, Buffer.alloc(17 << 20));
  await page.getByTestId('file-input').setInputFiles(huge);
  await page.locator('[data-testid="attachment"][data-state="ready"]').nth(1).waitFor();
  await page.locator('[data-testid="attachment"][data-state="failed"]', { hasText: '17.8 MB is too large' }).waitFor();
  await page.locator('[data-testid="attachment"][data-state="failed"]', { hasText: 'empty' }).waitFor();
  assert.ok(await page.getByTestId('send-prompt').isDisabled(), 'nothing goes without what was meant to go with it');
  assert.deepEqual(page.faults.slice(before), [], 'what is too large is not sent up to be refused');
  await page.getByRole('button', { name: 'Take away huge.bin' }).click();
  await page.getByRole('button', { name: 'Take away empty.txt' }).click();
  await send(page, script({ blocks: true }));
  await turnsEnd(page);
  const { items } = await recorded(server, session.id);
  const said = items.find((item) => item.kind === 'text').text;
  const [notes, dot] = JSON.parse(said.slice('blocks:'.length));
  assert.equal(notes.resource.text, '# Notes\n');
  assert.match(notes.resource.uri, /notes\.md$/);
  assert.equal(dot.mimeType, 'image/png');
});

/** A page that counts what is sent up. */
function countUploads(page) {
  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && /\/blobs$/.test(request.url()) && sent.push(request.url()));
  return sent;
}

const failed = (page, hasText) => page.locator('[data-testid="attachment"][data-state="failed"]', { hasText });
const ready = (page) => page.locator('[data-testid="attachment"][data-state="ready"]');
const notes = { name: 'notes.md', mimeType: 'text/markdown', buffer: Buffer.from('# Notes\n') };
const takesKnown = (page, words) => page.locator(`[data-testid="attach"][title*="${words}"]`).waitFor();

/** As if a file was brought over the page, and dropped if `isDropped`. */
const drag = (page, { name, mimeType, text }, isDropped) => page.evaluate(([fileName, type, content, drops]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([content], fileName, { type }));
  for (const kind of ['dragenter', 'dragover', ...(drops ? ['drop'] : [])]) {
    document.querySelector('[data-testid=prompt-input]').dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
  }
}, [name, mimeType, text, isDropped]);

test('an agent that takes no files: said before anything is sent up, and the text can go into the prompt', async () => {
  const { page } = await opened({ agent: 'shell' });
  const sent = countUploads(page);
  await takesKnown(page, 'This agent takes no files, no images and no audio.');
  await page.getByTestId('attach').click();
  await page.getByTestId('composer-note').getByText('takes no files, no images and no audio').waitFor();
  await field(page).fill('cat this');
  await drag(page, { name: 'notes.md', mimeType: 'text/markdown', text: '# Notes\n' }, false);
  await page.locator('.composer__drop', { hasText: 'This agent takes no files' }).waitFor();
  await drag(page, { name: 'notes.md', mimeType: 'text/markdown', text: '# Notes\n' }, true);
  await failed(page, 'takes no files').waitFor();
  assert.ok(await page.getByTestId('send-prompt').isDisabled());
  await page.getByRole('button', { name: 'Put it into the text' }).click();
  await written(page, 'cat this\n\nnotes.md:\n```\n# Notes\n```');
  assert.deepEqual(sent, []);
});

test('what an agent takes is known after a reload: what it does not take stays here, and the rest goes', async () => {
  const { page } = await opened();
  await takesKnown(page, 'up to 16.8 MB in all. This agent takes no audio.');
  await page.reload();
  await takesKnown(page, 'This agent takes no audio.');
  const sent = countUploads(page);
  await page.getByTestId('file-input').setInputFiles([{ name: 'a.wav', mimeType: 'audio/wav', buffer: Buffer.from('RIFF') }, notes]);
  await failed(page, 'takes no audio').waitFor();
  await ready(page).waitFor();
  assert.equal(sent.length, 1);
  await page.getByRole('button', { name: 'Take away a.wav' }).click();
  await send(page, script({ blocks: true }));
  await turnsEnd(page);
});

test('before an agent has said what it takes everything is offered, and what was taken on trust is weighed again then', async () => {
  const gate = path.join(temporaryFolder(), 'gate');
  // It begins when the test says so, and takes no images.
  const late = inline(`until [ -e ${gate} ]; do sleep 0.05; done; signalbox-scripted-agent | sed -u 's/"image":true/"image":false/'`);
  const slow = await startServer({ agents: { late } });
  const session = await (await slow.connect()).create('late');
  const page = await openApp(browser, slow, { at: sessionAddress(session) });
  pages.push(page);
  await field(page).waitFor();
  await takesKnown(page, 'Attach files (or paste, or drop them), up to 16.8 MB in all');
  assert.equal(await page.getByTestId('attach').getAttribute('title'), 'Attach files (or paste, or drop them), up to 16.8 MB in all');
  await page.getByTestId('file-input').setInputFiles([{ name: 'dot.png', mimeType: 'image/png', buffer: Buffer.from('\x89PNG') }, notes]);
  await ready(page).nth(1).waitFor();
  writeFileSync(gate, '');
  await failed(page, 'takes no images').waitFor();
  await takesKnown(page, 'This agent takes no images and no audio.');
  assert.ok(await page.getByTestId('send-prompt').isDisabled());
  await page.getByRole('button', { name: 'Take away dot.png' }).click();
  await send(page, script({ blocks: true }));
  await turnsEnd(page);
  const said = (await recorded(slow, session.id)).items.find((item) => item.kind === 'text').text;
  assert.deepEqual(JSON.parse(said.slice('blocks:'.length)).map(({ resource }) => resource.text), ['# Notes\n']);
});

test('Escape, twice, stops the turn, and what was queued is in the field again', async () => {
  const { page } = await opened();
  await send(page, script(say('working'), waitCancel()));
  await page.getByTestId('cancel-turn').waitFor();
  for (const text of ['one more', 'and another']) {
    await field(page).fill(text);
    await page.keyboard.press('Enter');
  }
  await page.getByTestId('queue-item').nth(1).waitFor();
  await field(page).fill('begun');
  const again = pressAt(page, '.composer', 'Press Esc again to stop', 'Escape');
  await page.keyboard.press('Escape');
  await again;
  await turnsEnd(page);
  await written(page, 'one more\n\nand another\n\nbegun');
  await page.getByTestId('cancel-turn').waitFor({ state: 'detached' });
});

test('Escape that clears the search, or leaves it, stops nothing', async () => {
  const { page } = await opened();
  await send(page, script(say('working'), waitCancel()));
  await page.getByTestId('cancel-turn').waitFor();
  await page.getByTestId('session-search').fill('work');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  assert.ok(await page.getByTestId('cancel-turn').isEnabled());
  await field(page).focus();
  const again = pressAt(page, '.composer', 'Press Esc again to stop', 'Escape');
  await page.keyboard.press('Escape');
  await again;
  await turnsEnd(page);
});

test('a queue that stands still since its agent died says so, and goes on when it is told to', async () => {
  const { page, session } = await opened();
  await send(page, script(asked('make', 't1'), die()));
  await pendingCard(page).waitFor();
  await field(page).fill('after it');
  await page.keyboard.press('Enter');
  await page.getByTestId('queue-item').waitFor();
  await pendingCard(page).locator('[data-option-id="once"]').click();
  await page.getByTestId('queue-paused').waitFor();
  await page.getByTestId('resume-queue').click();
  await turnsEnd(page, 2);
  assert.ok((await recorded(server, session.id)).items.some((item) => item.kind === 'text' && item.text === 'after it'));
});

test('two keys at once are one answer', async () => {
  const { page, session } = await opened();
  const sent = [];
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push(JSON.parse(payload).type)));
  await page.reload();
  await send(page, script(asked('make one', 't1'), waitCancel()));
  await page.locator('[data-testid="permission-card"] [data-option-id="once"]:enabled').waitFor();
  // Faster than the page is drawn, as a hand that falls on the keyboard.
  await page.evaluate(() => ['a', 'r', '1'].forEach((key) => document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))));
  await page.locator('[data-testid="permission-note"][data-state="resolved"]').waitFor();
  assert.equal(sent.filter((type) => type === 'permission_response').length, 1);
  assert.equal((await recorded(server, session.id)).items.find((item) => item.kind === 'permission').optionId, 'once');
});

test('a key that was pressed before a card could be read answers nothing, however late a busy page comes to it', async () => {
  const { page } = await opened();
  const early = pressAt(page, '[data-testid="permission-card"][data-state="pending"]', 'make one', 'a', { frames: 3, within: 400, busy: 700 });
  await send(page, script(asked('make one', 't1')));
  await page.getByTestId('prompt-input').blur();
  await early;
  await page.locator('[data-testid="permission-card"] [data-option-id="once"]:enabled').waitFor();
  assert.equal(await pendingCard(page).count(), 1);
  await page.keyboard.press('r');
  await turnsEnd(page);
});

test('keys answer what is asked, and never what was typed', async () => {
  const { page, session } = await opened();
  await send(page, script(asked('make one', 't1'), asked('make two', 't2')));
  await pendingCard(page).waitFor();
  await field(page).focus();
  await page.locator('[data-testid="permission-card"] [data-option-id="once"]:enabled').waitFor(); // from here on keys would count
  await page.keyboard.type('ar1');
  await written(page, 'ar1');
  assert.equal(await pendingCard(page).count(), 1, 'letters that were typed are letters');
  await page.keyboard.press('Alt+a');
  assert.equal(await focused(page), 'permission-card');
  const early = pressAt(page, '[data-testid="permission-card"][data-state="pending"]', 'make two', 'a', { frames: 3, within: 400 }); // meant for what stood there before
  await page.keyboard.press('r');
  await early;
  await page.locator('[data-testid="permission-card"] [data-option-id="once"]:enabled').waitFor();
  assert.equal(await pendingCard(page).count(), 1, 'nobody can have read it yet');
  await page.keyboard.press('2');
  await turnsEnd(page);
  await page.waitForFunction(() => document.activeElement?.dataset.testid === 'prompt-input');
  const answers = (await recorded(server, session.id)).items.filter((item) => item.kind === 'permission').map((item) => item.optionId);
  assert.deepEqual(answers, ['no', 'always']);
});

test('blanks are no prompt, and that is said', async () => {
  const { page, session } = await opened();
  await field(page).fill('  \n \u00a0');
  assert.ok(await page.getByTestId('send-prompt').isDisabled());
  await field(page).press('Enter');
  await page.getByTestId('composer-note').filter({ hasText: 'nothing in this prompt but blanks' }).waitFor();
  await field(page).fill('words');
  await page.getByTestId('composer-note').waitFor({ state: 'detached' });
  const { message } = await session.client.refusal('prompt', { sessionId: session.id, text: ' \n\u00a0' }, 'bad_message');
  assert.match(message, /blanks/);
  assert.ok(!session.events.some(({ type }) => type === 'user_message'));
  assert.deepEqual(page.faults, []);
});
