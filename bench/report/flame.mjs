// A flame graph of one role, from perf's samples:
//
//     perf script -i FILE | node bench/report/flame.mjs ROLE > flame.svg      ROLE: socket, agent, journal ... ; all
//
// Widths are shares of the role's samples, callees stand on their callers. The largest leaves go to stderr.
import { createInterface } from 'node:readline';

const WIDTH = 1200;
const ROW = 17;
const [role = 'all'] = process.argv.slice(2);
const root = { name: role, count: 0, children: new Map() };
const leaves = new Map();

/** A sample of the thread `comm`, its stack from the outermost function on. */
function add(comm, stack) {
  if (role !== 'all' && comm.split('/')[0] !== role) {
    return;
  }
  root.count++;
  let node = root;
  for (const name of stack) {
    node.children.set(name, node.children.get(name) ?? { name, count: 0, children: new Map() });
    node = node.children.get(name);
    node.count++;
  }
  leaves.set(node.name, (leaves.get(node.name) ?? 0) + 1);
}

let comm = '';
let stack = [];
for await (const line of createInterface({ input: process.stdin })) {
  const frame = /^\s+[0-9a-f]+ (.+?)(?:\+0x[0-9a-f]+)? \(/.exec(line);
  const head = /^(\S.*?)\s+(?:\d+\/)?\d+\s+(?:\[\d+\]\s+)?\d+\.\d+:/.exec(line);
  if (frame) {
    stack.unshift(frame[1]);
  } else if (head) {
    comm = head[1];
  } else if (line.trim() === '' && stack.length > 0) {
    add(comm, stack);
    stack = [];
  }
}
if (stack.length > 0) {
  add(comm, stack);
}
if (root.count === 0) {
  console.error(`no samples of ${role}`);
  process.exit(1);
}

const escape = (text) => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]);
const boxes = [];
let depth = 0;

function draw(node, x, level) {
  const width = (WIDTH * node.count) / root.count;
  if (width < 0.4) {
    return;
  }
  depth = Math.max(depth, level);
  const hue = 20 + ([...node.name].reduce((sum, c) => sum + c.charCodeAt(0), 0) % 36);
  boxes.push({ node, x, width, level, hue });
  for (const child of [...node.children.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    draw(child, x, level + 1);
    x += (WIDTH * child.count) / root.count;
  }
}
draw(root, 0, 0);
const height = (depth + 1) * ROW + 8;
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">
<style>text { font: 11px ui-monospace, monospace; fill: #1a1a1a; } rect { stroke: #fff; stroke-width: 0.5; }</style>
<rect width="${WIDTH}" height="${height}" fill="#fff"/>`);
for (const { node, x, width, level, hue } of boxes) {
  const y = height - (level + 1) * ROW - 4;
  const share = ((100 * node.count) / root.count).toFixed(1);
  const room = Math.floor((width - 4) / 6.7);
  const label = room < 3 ? '' : node.name.length > room ? `${node.name.slice(0, room - 1)}…` : node.name;
  console.log(`<g><title>${escape(node.name)}: ${share} %</title><rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="hsl(${hue} 85% 68%)"/>`
    + `${label ? `<text x="${(x + 2).toFixed(1)}" y="${y + 12}">${escape(label)}</text>` : ''}</g>`);
}
console.log('</svg>');
for (const [name, count] of [...leaves].sort((a, b) => b[1] - a[1]).slice(0, 10)) {
  console.error(`${((100 * count) / root.count).toFixed(1).padStart(5)} %  ${name}`);
}
