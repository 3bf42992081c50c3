// Makes src/protocol.ts from `signalbox schema`: node scripts/generate-types.mjs [SIGNALBOX] [--print]
//
// SIGNALBOX is the program (default: that of the release build, else the one in PATH). With --print the text goes to
// stdout and nothing is written; the tests compare it with the file.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.resolve(here, '../src/protocol.ts');

// Names that would hide one of the browser's own, or say too little beside the others.
const RENAMED = {
  request: 'PermissionRequest',
  location: 'FileLocation',
  server: 'ServerInfo',
  session: 'SessionInfo',
  permissions: 'PermissionList',
  agents: 'AgentList',
  limits: 'Limits',
};

const SUFFIX = { client: 'Command', ack: 'Ack', server: 'Message', event: 'Event', body: 'Body' };

const pascal = (text) => text.replace(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase());

function nameOf(key) {
  const [group, rest] = key.split('.');
  return rest ? pascal(rest) + SUFFIX[group] : (RENAMED[key] ?? pascal(key));
}

const comment = (text, indent = '') => (text ? `${indent}/** ${text.replaceAll('*/', '* /')} */\n` : '');
const quote = (value) => JSON.stringify(value);
const isOpen = (schema) => Object.keys(schema).length === 0;

/** The type of a value, as TypeScript. */
function typeOf(schema) {
  if (schema.$ref) {
    return nameOf(schema.$ref.replace('#/$defs/', ''));
  }
  if (schema.const !== undefined) {
    return quote(schema.const);
  }
  if (schema.enum) {
    return schema.enum.map(quote).join(' | ');
  }
  // An open enumeration: what is known today, and whatever a newer side says.
  const known = schema.anyOf?.find((each) => each.enum);
  if (known && schema.anyOf.some(isOpen)) {
    return `${typeOf(known)} | (string & {})`;
  }
  if (schema.anyOf?.some((each) => each.type === 'null')) {
    return schema.anyOf.map(typeOf).sort((a, b) => (a === 'null') - (b === 'null')).join(' | ');
  }
  if (schema.oneOf) {
    return schema.oneOf.map(typeOf).join(' | ');
  }
  switch (schema.type) {
    case 'string':
      return 'string';
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'null':
      return 'null';
    case 'array': {
      const item = schema.items ? typeOf(schema.items) : 'unknown';
      return /[ |&]/.test(item) ? `(${item})[]` : `${item}[]`;
    }
    case 'object':
      return schema.properties ? inline(schema) : '{ [name: string]: unknown }';
    default:
      return 'unknown';
  }
}

const fieldsOf = ({ properties, required = [] }) =>
  Object.entries(properties).map(([name, schema]) => ({
    name,
    schema,
    mark: required.includes(name) ? '' : '?',
  }));

const inline = (schema) =>
  `{ ${fieldsOf(schema).map(({ name, schema: each, mark }) => `${name}${mark}: ${typeOf(each)}`).join('; ')} }`;

function declare(key, schema) {
  const name = nameOf(key);
  if (schema.type !== 'object') {
    return `${comment(schema.description)}export type ${name} = ${typeOf(schema)};\n`;
  }
  const lines = fieldsOf(schema).map(
    ({ name: field, schema: each, mark }) => `${comment(each.description, '  ')}  ${field}${mark}: ${typeOf(each)};\n`,
  );
  // ACP's blocks have more fields than the protocol looks at.
  if (key === 'contentBlock') {
    lines.push('  [name: string]: unknown;\n');
  }
  return `${comment(schema.description)}export interface ${name} {\n${lines.join('')}}\n`;
}

function table(name, what, defs, group, value) {
  const rows = Object.keys(defs)
    .filter((key) => key.startsWith('client.'))
    .map((key) => key.slice('client.'.length))
    .map((type) => `  ${type}: ${value(type)};\n`);
  return `${comment(what)}export interface ${name} {\n${rows.join('')}}\n`;
}

/** The text of protocol.ts. */
export function typesOf(schema) {
  const defs = schema.$defs;
  // What answers each command: a message of its own, or an `ack` with more.
  const special = { subscribe: 'SubscribedMessage', unsubscribe: 'UnsubscribedMessage', watch_sessions: 'SessionsMessage', ping: 'PongMessage' };
  return [
    '// Made by scripts/generate-types.mjs from `signalbox schema`; do not edit.\n',
    `${comment('The subprotocol.')}export const PROTOCOL = ${quote(schema.title)};\n`,
    ...Object.entries(defs).map(([key, each]) => declare(key, each)),
    table('CommandMap', 'Each command by its type.', defs, 'client', (type) => nameOf(`client.${type}`)),
    table('AnswerMap', 'What answers each command.', defs, 'ack', (type) =>
      special[type] ?? (defs[`ack.${type}`] ? `AckMessage & ${nameOf(`ack.${type}`)}` : 'AckMessage')),
    `${comment('The fields of a command that its caller gives.')}export type CommandFields<T extends keyof CommandMap> = Omit<CommandMap[T], "type" | "id">;\n`,
  ].join('\n');
}

/** The schema that a program prints. */
export function schemaOf(program) {
  const run = spawnSync(program, ['schema'], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (run.status !== 0) {
    throw new Error(`${program} schema: ${run.error?.message ?? run.stderr}`);
  }
  return JSON.parse(run.stdout);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [given] = process.argv.slice(2).filter((word) => !word.startsWith('-'));
  const built = path.resolve(here, '../../../build/release/signalbox');
  const text = typesOf(schemaOf(given ?? (existsSync(built) ? built : 'signalbox')));
  if (process.argv.includes('--print')) {
    process.stdout.write(text);
  } else {
    writeFileSync(target, text);
  }
}
