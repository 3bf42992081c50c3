// What agents and people write is text, wherever it comes from: no script runs, no dialog opens, nothing is asked of elsewhere, and
// the browser's policy is never what saves us.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inline, scripted } from './lib/agents.mjs';
import { chooseAgent, openApp, pendingCard, send, sessionAddress, shown, turnsEnd } from './lib/app.mjs';
import { test } from './lib/harness.mjs';
import { openBrowser, screenshot } from './lib/page.mjs';
import { ask, say, script, think, tool, waitCancel } from './lib/script.mjs';
import { startServer } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

const EVIL = 'https://evil.example';

/** All ways into a page at once; `where` says which field it was that let them in. */
const bomb = (where) => [
  `<img src=x onerror="window.pwned='${where}'">`,
  `<svg onload="window.pwned='${where}'"><script>window.pwned='${where}'</script></svg>`,
  `"><script>window.pwned='${where}'</script>`, `'-window.pwned='${where}'-'`, `\${window.pwned='${where}'}`,
  `<iframe srcdoc="<script>parent.pwned='${where}'</script>"></iframe>`, `<a href="javascript:window.pwned='${where}'">x</a>`,
  `<style>*{background:url(${EVIL}/css)}</style><link rel=stylesheet href=${EVIL}/x><base href=${EVIL}/><meta http-equiv=refresh content="0;url=${EVIL}">`,
  `<form action=${EVIL}><button autofocus onfocus="window.pwned='${where}'">x</button></form>`,
  `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.pwned='${where}'&gt;">`,
].join(' ');

/** One line, and short. */
const dart = (where) => `<img src=x onerror="window.pwned='${where}'">`;

const MARKDOWN = [
  `[a](javascript:window.pwned='link')`, `[b](JaVaScRiPt:window.pwned='link')`, `[c](data:text/html,<script>window.pwned='data'</script>)`, `[d](vbscript:x)`,
  `[e](  java\tscript:window.pwned='tab')`, `[f](&#106;avascript:window.pwned='entity')`, `<javascript:window.pwned='auto'>`, `[g]: javascript:window.pwned='reference'\n[g]`,
  `![pixel](${EVIL}/pixel.png)`, `![svg](data:image/svg+xml;utf8,<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwned='svg'"/>)`, `![j](javascript:window.pwned='image')`,
  `[ok](${EVIL}/fine "title" )`, `[quote](${EVIL}/" onmouseover="window.pwned='attribute')`, `<${EVIL}/auto>`, `${EVIL}/bare`,
  '```html\n<script>window.pwned="code"</script>\n```', '```"><script>window.pwned="language"</script>\nx\n```', '`<img src=x onerror=window.pwned=1>`',
  `| <img src=x onerror="window.pwned='cell'"> | b |\n|---|---|\n| ${dart('cell2')} | [x](javascript:window.pwned='cell3') |`,
  `# ${dart('heading')}`, `> ${dart('quote')}`, `- [ ] ${dart('task')}`, `~~${dart('del')}~~`, `&lt;script&gt;window.pwned='entities'&lt;/script&gt;`, `$$\\href{javascript:window.pwned='math'}{x}$$`,
  `<details open ontoggle="window.pwned='details'"><summary>x</summary></details>`, `<!-- --><![CDATA[<script>window.pwned='cdata'</script>]]>`,
].join('\n\n');

const ANSI = `\u001b[31mred\u001b[0m \u001b]8;;javascript:window.pwned='osc'\u0007click\u001b]8;;\u0007 \u001b]8;;${EVIL}\u0007there\u001b]8;;\u0007 \u001b]0;${dart('osc title')}\u0007 \u001b[38;2;1;2;3;"onload=window.pwned=1m ${dart('ansi')}`;

const SVG = Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9" onload="window.pwned='svg image'"><script>window.pwned='svg script'</script><image href="${EVIL}/in.svg"/></svg>`).toString('base64');
const update = (fields) => ({ update: fields });
const chunk = (content) => update({ sessionUpdate: 'agent_message_chunk', content });

/** Nothing in them is of the kind that it should be. */
const ODD = [
  update({ sessionUpdate: 'tool_call', toolCallId: 'odd', title: { a: 1 }, kind: 7, status: 'odd', rawInput: [1, null], rawOutput: 7, locations: [null, { path: 5 }, 'x', { path: '/odd place', line: 'x' }],
    content: [null, 3, 'x', { type: 'content' }, { type: 'content', content: null }, { type: 'diff' }, { type: 'diff', path: 3, newText: null }, { type: 'terminal' }] }),
  update({ sessionUpdate: 'plan', entries: [null, { content: 5 }] }), update({ sessionUpdate: 'usage_update', used: 'many', size: -1, cost: 'much' }),
  update({ sessionUpdate: 'config_option_update', configOptions: [null, { id: 5 }, { id: 'o', type: 'slider' }, { id: 'p', type: 'select', options: [null, {}] }] }),
  update({ sessionUpdate: 'available_commands_update', availableCommands: [null, { name: 5 }] }), update({ sessionUpdate: 'session_info_update', title: 5 }),
  chunk(null), chunk(5), chunk([{ type: 'text', text: 'x' }]), chunk({}), chunk({ type: 'image' }), chunk({ type: 'resource' }), chunk({ type: 'audio', data: 5 }), update({ sessionUpdate: null }),
];

const server = await startServer({
  settings: { 'permission-timeout-ms': 0 },
  agents: {
    scripted: scripted({ title: bomb('agent title') }),
    gone: { command: [`/missing/${dart('command').replaceAll('/', '')}`], title: dart('unavailable'), install: bomb('install') },
    broken: inline(`echo '${dart('stderr').replaceAll("'", '')}' >&2; exit 3`),
    refusing: { command: ['signalbox-scripted-agent', '--new-fails', '-32000'], title: 'Refuses' },
  },
});
const browser = await openBrowser();

const ALLOWED = /^\/($|assets\/|favicon(-waiting)?\.svg|theme\.json|v1\/|ws(\?|$)|first\.js)/;

/** Everything that could have gone wrong, after all was shown. */
async function assertUnharmed(page) {
  const found = await page.evaluate(() => ({
    pwned: window.pwned ?? null,
    elements: [...document.querySelectorAll('script, iframe, object, embed, base, meta[http-equiv], form[action], style, link, math, video[src], audio[src], foreignObject')]
      .filter((node) => !(node.matches('script[src^="/assets/"], script[src="/first.js"], link[rel~="icon"], link[href^="/assets/"], link[rel="manifest"]')))
      .map((node) => node.outerHTML.slice(0, 200)),
    handlers: [...document.querySelectorAll('*')].flatMap((node) => [...node.attributes].filter(({ name }) => /^on/i.test(name)).map(({ name, value }) => `${node.tagName} ${name}=${value}`)),
    links: [...document.querySelectorAll('[href], [src], [action], [formaction], [*|href]')].map((node) => [node.tagName, node.getAttribute('href') ?? node.getAttribute('src') ?? node.getAttribute('xlink:href') ?? ''])
      .filter(([, address]) => !/^(https?:|mailto:|#|\/|blob:|data:image\/(png|jpeg|gif|webp|svg\+xml|avif))/i.test(address.trim())),
    outside: [...document.querySelectorAll('a[href^="http"]')].filter((a) => new URL(a.href).origin !== location.origin && !/noopener|noreferrer/.test(a.rel)).map((a) => a.outerHTML),
    fetched: [...document.querySelectorAll('img[src], source, image')].map((node) => node.src ?? '').filter((src) => /^https?:/.test(src) && new URL(src).origin !== location.origin),
  }));
  assert.deepEqual(found, { pwned: null, elements: [], handlers: [], links: [], outside: [], fetched: [] });
  assert.deepEqual(page.faults, []);
  const own = page.asked.map((url) => new URL(url)).filter(({ protocol }) => protocol.startsWith('http')).map(({ pathname }) => pathname);
  assert.deepEqual(own.filter((name) => !ALLOWED.test(name)), []);
}

async function open(at, options) {
  const page = await openApp(browser, server, { at, ...options });
  page.asked = [];
  page.on('request', (request) => page.asked.push(request.url()));
  return page;
}

async function newSession(fields = {}) {
  const client = await server.connect();
  const session = await client.create('scripted', fields);
  await session.status('idle');
  return session;
}

test('what an agent says: Markdown, thoughts, tools, diffs, paths, plan, commands, modes, options, usage, images, unknown updates', async () => {
  const session = await newSession({ title: dart('title') });
  const page = await open(sessionAddress(session));
  await send(page, JSON.stringify({
    steps: [
      say(MARKDOWN), say(`\n\n${bomb('text')}\n\n`), think(`${bomb('thought')}\n\n${MARKDOWN}`),
      tool({ id: 't1', title: bomb('tool title'), name: dart('tool name'), kind: 'execute', input: { command: bomb('input'), [dart('key')]: dart('value') }, locations: [{ path: `/${dart('location')}`, line: 3 }], output: `${ANSI}\n${bomb('output')}\n${MARKDOWN}` }),
      tool({ id: 't2', title: dart('diff title'), kind: 'edit', input: { file: dart('file') }, output: 'done', diff: { path: `/tmp/${dart('path')}.html`, oldText: `${bomb('old')}\n`, newText: `${bomb('new')}\n` } }),
      tool({ id: 't3', title: dart('failed'), kind: dart('kind'), output: bomb('error output'), fail: true }),
      update({ sessionUpdate: 'tool_call', toolCallId: dart('id'), title: dart('raw'), kind: 'fetch', status: dart('status'), rawInput: { url: `javascript:window.pwned='url'`, nested: [{ a: dart('nested') }] }, rawOutput: { html: bomb('raw output') },
        content: [
          { type: 'content', content: { type: 'image', data: SVG, mimeType: 'image/svg+xml' } }, { type: 'content', content: { type: 'image', data: 'AAAA', mimeType: `image/png" onerror="window.pwned='mime'` } },
          { type: 'content', content: { type: 'image', data: SVG, mimeType: 'text/html', uri: `${EVIL}/tool.png` } }, { type: 'content', content: { type: 'resource_link', uri: `javascript:window.pwned='resource'`, name: dart('resource name'), title: dart('resource title') } },
          { type: 'content', content: { type: 'resource', resource: { uri: `${EVIL}/r`, text: bomb('resource text'), mimeType: 'text/html' } } }, { type: 'content', content: { type: 'audio', data: 'AAAA', mimeType: dart('audio') } },
          { type: dart('content type'), anything: dart('anything') },
        ] }),
      ...ODD, chunk({ type: 'image', data: SVG, mimeType: 'image/svg+xml' }), chunk({ type: 'image', data: '', mimeType: 'image/png', uri: `${EVIL}/said.png` }),
      chunk({ type: 'resource_link', uri: `${EVIL}/link`, name: dart('link name'), description: bomb('link description') }), chunk({ type: 'resource', resource: { uri: `file:///${dart('uri')}`, text: bomb('embedded') } }),
      { plan: [{ content: bomb('plan'), priority: dart('priority'), status: dart('plan status') }, MARKDOWN, { content: dart('plan two'), priority: 'high', status: 'in_progress' }] },
      { commands: [{ name: dart('command name'), description: bomb('command description'), input: { hint: dart('hint') } }, 'plain'] },
      { usage: { used: 1000, size: 2000, cost: { amount: 0.5, currency: dart('currency') } } },
      { configOptions: [{ id: dart('option id'), name: dart('option name'), description: bomb('option description'), type: 'select', currentValue: dart('a'), options: [{ value: dart('a'), name: dart('choice'), description: dart('choice description') }, { value: 'b', name: 'b' }] }] },
      update({ sessionUpdate: 'current_mode_update', currentModeId: dart('mode') }),
      update({ sessionUpdate: dart('unknown update'), html: bomb('unknown'), deep: { [dart('deep key')]: [dart('deep')] } }),
      { title: bomb('new title') }, say(' end'),
    ],
  }));
  await turnsEnd(page);
  const items = await shown(page);
  assert.ok(items.length > 8, JSON.stringify(items.map(({ kind }) => kind)));
  const all = items.map(({ text }) => text).join('\n');
  assert.ok(all.includes('/odd place'), all);
  for (const where of ['text', 'output', 'location', 'raw', 'path']) {
    assert.ok(all.includes(`window.pwned='${where}'`), `${where} is shown as text`);
  }
  await page.getByTestId('prompt-input').fill('/');
  await page.getByTestId('slash-menu').waitFor();
  await screenshot(page, 'page-hostile');
  await assertUnharmed(page);
  await page.getByTestId('prompt-input').fill('');
  await page.getByTestId('session-details').click();
  await assertUnharmed(page);
  await page.reload();
  await turnsEnd(page);
  await shown(page);
  await assertUnharmed(page);
});

test('what an agent asks, and the rules that come of it; errors; the ends of turns', async () => {
  const session = await newSession({ title: dart('title two') });
  const page = await open(sessionAddress(session));
  const waiting = await open('/#/waiting');
  const option = (id, kind) => ({ optionId: dart(id), name: dart(`${id} name`), kind });
  await send(page, script(
    ask({ tool: { title: bomb('asked'), name: dart('asked name'), kind: 'execute', input: { command: `echo ${bomb('command')}`, x: dart('x') }, locations: [{ path: `/etc/${dart('asked path')}` }] }, options: [option('yes', 'allow_once'), option('always', 'allow_always'), option('no', 'reject_once'), { optionId: 'odd', name: dart('odd'), kind: dart('odd kind') }] }),
    ask({ tool: { title: dart('edit'), kind: 'edit', input: { path: dart('edit path'), old_string: bomb('old string'), new_string: bomb('new string'), file_path: `/tmp/${dart('file path')}` } } }),
    { error: { code: -32000, message: bomb('error'), data: { details: bomb('error data') } } },
  ));
  for (const each of [page, waiting]) {
    await pendingCard(each).waitFor();
    await pendingCard(each).locator('details').evaluateAll((all) => all.forEach((details) => (details.open = true)));
    assert.ok((await pendingCard(each).innerText()).includes("window.pwned='command'"));
    await assertUnharmed(each);
  }
  await screenshot(page, 'page-hostile-asked');
  const scope = pendingCard(page).locator('[data-testid="permission-scope"]').first();
  await (await scope.count() ? scope : pendingCard(page).locator('[data-kind="allow_once"]')).click();
  await pendingCard(page).getByText('Reject with a note').click();
  await pendingCard(page).getByLabel('Why not?').fill(bomb('note'));
  await pendingCard(page).getByRole('button', { name: 'Reject', exact: true }).click();
  await page.getByTestId('error-item').waitFor();
  await shown(page);
  await assertUnharmed(page);
  await page.goto(`${server.url}/#/rules`);
  await page.getByTestId('rules-page').waitFor();
  await assertUnharmed(page);
  await page.getByTestId('tab-audit').check();
  await page.getByTestId('audit-entry').first().waitFor();
  await page.locator('details').evaluateAll((all) => all.forEach((details) => (details.open = true)));
  await assertUnharmed(page);
  await assertUnharmed(waiting);
});

test('what people write: prompts, the queue, titles, workspaces, searches; the configuration and its theme', async () => {
  const workspace = path.join(server.workspaces, dart('workspace').replaceAll('/', ''));
  mkdirSync(path.join(workspace, 'inner'), { recursive: true });
  const theme = path.join(server.folder, 'theme.json');
  writeFileSync(theme, JSON.stringify({ name: bomb('theme name'), accent: `red;background:url(${EVIL}/theme)`, bg: `url(${EVIL}/bg)`, light: { bg: `expression(alert(1))` }, [dart('theme key')]: dart('theme value') }));
  server.writeConfig({ 'theme-file': theme });
  const page = await open('/#/new');
  await page.getByTestId('agent-select').waitFor();
  await until(async () => (await page.title()).includes('img src=x') || (await page.locator('body').innerText()).includes('theme name'), 'the theme');
  await page.getByTestId('workspace-input').fill(`${server.workspaces}/`);
  await page.getByTestId('workspace-choices').getByText('workspace').first().waitFor();
  await assertUnharmed(page);
  await page.getByTestId('workspace-input').fill(`/${dart('nowhere')}`);
  await chooseAgent(page, 'scripted');
  await page.getByTestId('create-session').click();
  await page.getByTestId('create-error').waitFor();
  await assertUnharmed(page);
  await page.getByTestId('workspace-input').fill(workspace);
  await page.getByTestId('title-input').fill(dart('typed title'));
  await page.getByTestId('first-prompt').fill(`${MARKDOWN}\n${bomb('prompt')}`);
  await page.getByTestId('create-session').click();
  await turnsEnd(page);
  await send(page, script(waitCancel()));
  await page.getByTestId('cancel-turn').waitFor();
  await send(page, bomb('queued'));
  await page.getByTestId('queue-item').waitFor();
  await page.getByTestId('session-search').fill(bomb('search'));
  await assertUnharmed(page);
  await page.getByTestId('session-search').fill('');
  await page.getByTestId('cancel-turn').click();
  await turnsEnd(page, 2);
  await shown(page);
  await page.goto(`${server.url}/#/s/${encodeURIComponent(dart('address'))}`);
  await page.getByTestId('session-missing').waitFor();
  await page.goto(`${server.url}/#/${dart('route')}`);
  await page.goto(`${server.url}/?${encodeURIComponent(dart('query'))}#/settings`);
  await page.getByText('Settings').first().waitFor();
  await assertUnharmed(page);
});

test('an agent that cannot be started says why, and that is text', async () => {
  const client = await server.connect();
  const session = await client.create('broken', { title: dart('broken') });
  const page = await open(sessionAddress(session));
  await page.locator('[data-testid="session-phase"][data-phase="failed"]').waitFor();
  await shown(page);
  await assertUnharmed(page);
  await page.goto(`${server.url}/#/new`);
  await page.getByTestId('agent-card').first().waitFor();
  await assertUnharmed(page);
});
