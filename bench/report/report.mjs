// Makes a report of what bench/run has measured.
//
//     report.mjs RESULTS TARGET      TARGET is the same folder (report.md and plots beside it), or docs (the measured
//                                    part of benchmarks.md, and its plots in benchmarks/)
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { costsOf, median, member, ratiosOf, readMachine, readResults, SAME } from './numbers.mjs';
import { bars, lines, points } from './plots.mjs';

const BEGIN = '<!-- measured by bench/run: begin -->';
const END = '<!-- measured by bench/run: end -->';
const SIDES = { signalbox: 'Signalbox', 'signalbox-send': 'without io_uring', floor: 'the floor', fastify: 'Fastify', nchan: 'nchan' };

const [folder, target] = process.argv.slice(2);
const results = readResults(folder);
const machine = readMachine(folder);
const plots = {};
const out = [];

const digits = (value) => (Number.isInteger(value) && Math.abs(value) < 1000 ? String(value)
  : Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en')
  : Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2).replace(/\.?0+$/, '') || '0');
const shown = (value) => (value === undefined || value === null || Number.isNaN(value) ? '' : typeof value === 'number' ? digits(value) : String(value));

/** The median, and between which values it lies. */
function spread(values) {
  const there = values.filter((value) => value !== undefined);
  const [low, high] = [Math.min(...there), Math.max(...there)];
  return there.length < 2 || digits(low) === digits(high) ? shown(median(there)) : `${digits(median(there))} (${digits(low)} to ${digits(high)})`;
}

function table(head, rows) {
  out.push(`| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...rows.map((row) => `| ${row.join(' | ')} |`), '');
}

const of = (set) => results.filter((result) => result.set === set);

/** Of a comparison: side → round → costs, in the order in which they ran. */
function sidesOf(set) {
  const sides = new Map();
  for (const { round, command, report } of of(set)) {
    if (report.runs.length > 0) {
      const side = command.includes('socket-writes=send') ? `${report.side}-send` : report.side;
      sides.set(side, sides.get(side) ?? new Map());
      sides.get(side).set(round, costsOf(report));
    }
  }
  return sides;
}

function commands(set) {
  const all = [...new Set(of(set).map((result) => result.command))];
  out.push('```sh', ...all, '```', '');
}

function notes(set) {
  const limited = of(set).filter(({ report }) => report.runs.some((run) => run.generator_cores > 0.9));
  if (limited.length > 0) {
    out.push(`In ${limited.length} of ${of(set).length} runs the generator used more than 0.9 of a processor: there it may be the one that was late.`, '');
  }
}

// ---- Comparisons ----

function compare(set) {
  const sides = sidesOf(set);
  const column = (rounds, name) => spread([...rounds.values()].map((costs) => costs[name]));
  table(
    ['side', 'events delivered/s', 'CPU an event, µs', 'of it where it is sent', 'p50, ms', 'p99', 'p99.9', 'max', 'bytes', 'RSS a watcher, KB', 'generator, cores'],
    [...sides].map(([side, rounds]) => [
      SIDES[side] ?? side,
      ...['delivered', 'whole', 'sending', 'p50', 'p99', 'p999', 'max', 'bytes', 'memory', 'generator'].map((name) => column(rounds, name)),
    ]),
  );
  return sides;
}

function sayRatio(what, { ratios, why }, aim) {
  const value = ratios.length > 0 ? spread(ratios) : `not counted: ${why || 'one side is missing'}`;
  const met = ratios.length === 0 ? '' : median(ratios) <= aim ? 'met' : 'missed';
  return [what, value, aim === undefined ? '' : `${aim}`, met];
}

function breadth() {
  const sides = compare('breadth');
  const [ours, sending, floor, fastify, nchan] = ['signalbox', 'signalbox-send', 'floor', 'fastify', 'nchan'].map((side) => sides.get(side) ?? new Map());
  const whole = (costs) => costs.whole;
  table(['CPU for a delivered event', 'ratio', 'aim', ''], [
    sayRatio('socket threads / the floor', ratiosOf(ours, floor, (costs) => costs.sending, whole), 0.9),
    sayRatio('the whole server / the floor', ratiosOf(ours, floor, whole), 1.4),
    sayRatio('socket threads without io_uring / the floor', ratiosOf(sending, floor, (costs) => costs.sending, whole), 1.15),
    sayRatio('the whole server without io_uring / the floor', ratiosOf(sending, floor, whole), 1.6),
    sayRatio('the whole server / Fastify', ratiosOf(ours, fastify, whole), 0.5),
    sayRatio('the whole server / nchan', ratiosOf(ours, nchan, whole), Infinity),
  ].map((row) => row.map((cell) => (cell === 'Infinity' ? '' : cell))).map((row) => (row[0].endsWith('nchan') ? [row[0], row[1], '', ''] : row)));
  out.push(`"Signalbox" takes io_uring where the kernel allows it, "without io_uring" is \`socket-writes = send\`. A ratio counts only of rounds in which both delivered the same events a second within ${100 * SAME} %.`, '');
  const roles = [...sides].map(([side, rounds]) => {
    const all = [...rounds.values()];
    const names = [...new Set(all.flatMap((costs) => Object.keys(costs.byThread)))];
    const parts = names.map((name) => ({ name, value: median(all.map((costs) => costs.byThread[name] ?? 0)) }));
    const rest = median(all.map((costs) => costs.whole)) - parts.reduce((sum, part) => sum + part.value, 0);
    return { label: SIDES[side] ?? side, parts: rest > 0.05 ? [...parts, { name: 'other', value: rest }] : parts };
  });
  plot('cost', bars('CPU for a delivered event, by thread', 'µs', roles));
  plot('latency', points('From the due moment to the watcher', 'ms', [...sides].map(([side, rounds]) => ({
    label: SIDES[side] ?? side,
    points: [['p50', 'p50'], ['p99', 'p99'], ['p99.9', 'p999'], ['max', 'max']].map(([name, key]) => (
      { name, value: median([...rounds.values()].map((costs) => costs[key])) })),
  }))));
  profile(sides);
}

/** What each role, and within it each kind of work, costs for a delivered event: of the medians, by the samples' shares. */
function profile(sides) {
  const file = path.join(folder, 'profile.json');
  const ours = [...(sides.get('signalbox') ?? new Map()).values()];
  if (!existsSync(file) || ours.length === 0) {
    return;
  }
  const { samples, roles, costs, of: within } = JSON.parse(readFileSync(file, 'utf8'));
  const whole = median(ours.map((each) => each.whole));
  const percent = (share) => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
  const largest = (list, count) => list.slice(0, count).map(({ name, share }) => `${name} (${percent(share)})`).join('; ');
  out.push(`**Where the CPU goes** (one more such run, ${samples.toLocaleString('en')} samples of perf, a millisecond of CPU each; `
    + `[profile.mjs](../bench/report/profile.mjs) says what counts as what). The three largest costs of the whole server: ${largest(costs, 3)}. `
    + `Of the socket threads: ${largest(within.socket ?? [], 3)}.`, '');
  table(['of all', 'µs an event', 'work'], costs.filter(({ share }) => share >= 0.005).map(({ name, share }) => [percent(share), digits(share * whole), name]));
  table(['thread', 'of all', 'its largest costs'], Object.entries(roles).filter(([, share]) => share >= 0.01).map(([role, share]) => [role, percent(share), largest(within[role], 4)]));
}

function overload() {
  const sides = compare('overload');
  const [ours, floor] = [sides.get('signalbox'), sides.get('floor')];
  if (ours && floor) {
    const ratios = [...ours].filter(([round]) => floor.has(round)).map(([round, costs]) => costs.delivered / floor.get(round).delivered);
    table(['delivered events a second', 'ratio', 'aim', ''], [['Signalbox / the floor', spread(ratios), 'more than 1', median(ratios) > 1 ? 'met' : 'missed']]);
  }
}

function latency() {
  const sides = compare('latency');
  const ours = [...(sides.get('signalbox') ?? new Map()).values()];
  if (ours.length > 0) {
    const [p50, p99] = [median(ours.map((costs) => costs.p50)), median(ours.map((costs) => costs.p99))];
    table(['Signalbox', 'ms', 'aim', ''], [
      ['p50', digits(p50), '0.3', p50 <= 0.3 ? 'met' : 'missed'],
      ['p99', digits(p99), '3', p99 <= 3 ? 'met' : 'missed'],
    ]);
  }
}

// ---- Scenarios ----

const DELIVERED = [['events/s', 'events_per_s'], ['deliveries/s', 'deliveries_per_s']];
const LATENCY = [['latency p50, ms', 'latency/p50'], ['p99', 'latency/p99'], ['p99.9', 'latency/p99.9'], ['max', 'latency/max']];
const SERVER = [['server, cores', 'server/cpu_cores'], ['RSS at the end, MB', 'server/rss_mb'], ['generator, cores', 'generator_cores']];
const COST = [['CPU a delivery, µs', 'server/cpu_us_per_delivery']];

/** What is shown of each scenario: rows of a table whose columns are its runs. */
const scenarios = {
  fanout: ['Fan-out', [...DELIVERED, ...LATENCY, ...COST, ...SERVER]],
  mixed: ['Mixed', [...DELIVERED, ['MB delivered/s', 'delivered_mb_per_s'], ['events with content: bytes, p50', 'bytes_of_an_event_with_content/p50'],
    ['p99', 'bytes_of_an_event_with_content/p99'], ['max', 'bytes_of_an_event_with_content/max'], ['% of bytes about tools', 'percent_of_bytes_about_tools'],
    ['left and joined', 'left_and_joined'], ...LATENCY, ...COST, ...SERVER]],
  idle: ['Idle connections', [['watchers', 'watchers'], ['RSS a watcher, KB', 'rss_kb_a_watcher'], ['threads before', 'threads_before'], ['threads with them', 'server/threads'],
    ['descriptors', 'server/descriptors'], ['server, cores', 'server/cpu_cores'], ['RSS of an empty server, MB', 'rss_mb_fresh'],
    ['RSS with the sessions in the store, MB', 'rss_mb_with_the_sessions_in_the_store']]],
  back: ['Reconnect storm', [['clients', 'clients'], ['events each', 'events_each'], ['all are live after, s', 'all_live_after_s'], ['live after p50, ms', 'live_after/p50'],
    ['p99', 'live_after/p99'], ['refused and tried again', 'refused'], ...SERVER]],
  join: ['Late join', [['events in the log', 'log_events'], ['join p50, ms', 'join_time/p50'], ['p99', 'join_time/p99'], ['events of a join', 'join_events'], ['bytes', 'join_bytes'],
    ['events after a gap of 5', 'events_after_gap']]],
  stalled: ['Slow watchers', [['behind at the end, events', 'stalled_behind_events'], ...LATENCY, ...SERVER]],
  permissions: ['Permission storm', [['questions/s', 'questions_offered_per_s'], ['outcomes at watchers/s', 'outcomes_delivered_per_s'], ['to the person p50, ms', 'question/p50'], ['p99', 'question/p99'], ['and back p50, ms', 'round_trip/p50'],
    ['p99', 'round_trip/p99'], ['max', 'round_trip/max'], ...SERVER]],
  commit: ['Commit rate', [['agents\' lines/s', 'agent_lines_per_s'], ...DELIVERED, ['commits', 'commits/count'], ['commit p50, ms', 'commits/p50'], ['p99', 'commits/p99'],
    ['p99.9', 'commits/p99.9'], ['journal, cores', 'server/cores_by_thread/journal'], ['agent, cores', 'server/cores_by_thread/agent'], ['dispatch, cores', 'server/cores_by_thread/dispatch'],
    ['socket, cores', 'server/cores_by_thread/socket'], ...SERVER]],
  growth: ['Growth', [['sessions', 'sessions'], ['watchers', 'watchers'], ...DELIVERED, ...COST, ['RSS a watcher, KB', 'rss_kb_a_watcher'], ...LATENCY.slice(0, 2), ...SERVER]],
  ring: ['The ring', [['events/s', 'events_per_s'], ['deliveries/s', 'deliveries_per_s'], ...LATENCY, ...SERVER]],
  agents: ['Many agents', [...DELIVERED, ['delta window late p50, ms', 'windows_late/p50'], ['p99', 'windows_late/p99'], ...LATENCY, ...SERVER]],
  reconnect: ['Connections that break', [...DELIVERED, ['dropped live', 'dropped_live'], ['dropped in a replay', 'dropped_in_replay'], ...LATENCY, ...SERVER]],
  hostile: ['Agents that misbehave', [...LATENCY, ...SERVER]],
  torture: ['The torture', [['connections', 'connections'], ['kills', 'kills'], ['turns', 'turns']]],
  storm: ['The storm', [['clients', 'clients'], ['all are back after, s', 'all_back_s_after_it_serves'], ...SERVER]],
  soak: ['The soak', [['RSS at the end, MB', 'server/rss_mb']]],
};

function scenario(set) {
  const [, rows] = scenarios[set];
  for (const { report } of of(set)) {
    const there = rows.filter(([, where]) => report.runs.some((run) => member(run, where) !== undefined));
    table(['', ...report.runs.map((run) => run.run)], there.map(([label, where]) => [label, ...report.runs.map((run) => shown(member(run, where)))]));
    if (report.aims.length > 0) {
      table(['aim', 'measured', '', ''], report.aims.map((aim) => [
        aim.aim, aim.value === null ? 'nothing' : digits(aim.value), aim.at_most === undefined ? `at least ${aim.at_least}` : `at most ${aim.at_most}`, aim.met ? 'met' : 'missed']));
    }
    if (set === 'growth') {
      plot('growth', lines('The cost of one, when there are more of everything', report.runs.map((run) => run.run), [
        { name: 'CPU for a delivered event, µs', values: report.runs.map((run) => member(run, 'server/cpu_us_per_delivery') ?? 0) },
        { name: 'memory of a connection, KB', values: report.runs.map((run) => run.rss_kb_a_watcher ?? 0) },
      ]));
    }
  }
}

// ---- All of it ----

let plotFolder = '';
function plot(name, svg) {
  plots[name] = svg;
  out.push(`![${name}](${plotFolder}${name}.svg)`, '');
}

function wrong() {
  const bad = results.filter(({ report }) => report.errors > 0);
  out.push(bad.length === 0
    ? `Nothing was lost, repeated, reordered or changed in any of the ${results.length} runs.`
    : `**Something was wrong in ${bad.length} of ${results.length} runs: ${[...new Set(bad.map((result) => result.set))].join(', ')}.**`, '');
}

function build() {
  const get = (key) => machine[key]?.filter(Boolean).join('; ') || 'none';
  table(['', ''], [
    ['when', get('date')], ['processor', `${get('cores')} cores: ${get('cpu')}`], ['memory', get('memory')], ['system', `${get('system')}, ${get('kernel')}`],
    ['compiler', get('compiler')], ['Signalbox', `${get('signalbox')}, preset \`release\``], ['Node, nginx', `${get('node')}; ${get('nginx')}`],
    ['load average before', get('load')], ['descriptors a process', get('descriptors')], ['command', `\`${get('command')}\``],
  ]);
  out.push('The generator and the agents ran on the same cores.', '');
  for (const reason of machine.skipped ?? []) {
    out.push(`Skipped: ${reason}.`, '');
  }
  wrong();
  const sections = { breadth: ['Breadth, beside others', breadth], overload: ['Overload', overload], latency: ['Latency at a quarter of the load', latency] };
  for (const set of [...Object.keys(sections), ...Object.keys(scenarios)]) {
    if (of(set).length > 0) {
      const [title, write] = sections[set] ?? [scenarios[set][0], () => scenario(set)];
      out.push(`### ${title}`, '');
      commands(set);
      write();
      notes(set);
    }
  }
}

function intoDocs(text) {
  const file = path.join(target, 'benchmarks.md');
  const before = readFileSync(file, 'utf8');
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (begin < 0 || end < begin) {
    throw new Error(`${file} has no place for what was measured: ${BEGIN} and ${END}`);
  }
  writeFileSync(file, `${before.slice(0, begin + BEGIN.length)}\n${text}${before.slice(end)}`);
  return file;
}

const isDocs = existsSync(path.join(target, 'benchmarks.md')) && path.resolve(target) !== path.resolve(folder);
plotFolder = isDocs ? 'benchmarks/' : '';
build();
const text = `${out.join('\n').replace(/\n{3,}/g, '\n\n').trimEnd()}\n`;
mkdirSync(path.join(target, plotFolder), { recursive: true });
for (const [name, svg] of Object.entries(plots)) {
  writeFileSync(path.join(target, plotFolder, `${name}.svg`), svg);
}
let file = path.join(target, 'report.md');
if (isDocs) {
  file = intoDocs(text);
} else {
  writeFileSync(file, `# What bench/run measured\n\n${text}`);
}
console.log(file);
