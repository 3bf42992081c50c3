// The rules of the house about includes, as functions of a file's name and text (docs/architecture.md, "The house").
import path from 'node:path';

const BELOW = {
  base: [],
  core: ['base'],
  share: ['base'],
  store: ['base'],
  mail: ['core', 'share', 'store', 'base'],
  role: ['mail', 'core', 'share', 'store', 'base'],
  guard: ['base'],
  shell: ['base'],
  replay: ['shell'],
};

/** Where a library's quirks are known: the only files that may include it. */
export const PLACES = {
  civetweb: /^src\/role\/http_civetweb\.c$/,
  wslay: /^src\/role\/socket_internal\.h$/,
  sqlite3: /^src\/store\/sqlite\.h$/,
  confuse: /^src\/share\/config_parse\.c$/,
  urcu: /^include\/signalbox\/base\/(rcu|mailbox)\.h$|^src\/base\//,
  nettle: /^include\/signalbox\/base\/digest\.h$|^src\/base\/base64\.c$|^src\/share\/(tokens|config_load)\.c$|^src\/role\/http_upgrade\.c$/,
};

/** {file, room, include, quoted} for each #include of a file. */
export function includesOf(file, text) {
  const [, room = ''] = file.match(/^(?:src|include\/signalbox)\/(?:(\w+)\/)?/) ?? [];
  return [...text.matchAll(/^\s*#\s*include\s+(["<])([^">]+)[">]/gm)].map(([, quote, include]) => ({
    file,
    room,
    include,
    quoted: quote === '"',
  }));
}

/** The room that an #include "..." comes from: its path names it, or it stands beside the file. */
function roomOf({ room, include }) {
  const parts = include.replace(/^signalbox\//, '').split('/');
  return parts.length > 1 ? parts[0] : room;
}

const roleOf = (file) => path.basename(file).match(/^[a-z]+/)[0];
const libraryOf = (include) => Object.keys(PLACES).find((library) => new RegExp(`^${library}[./]`).test(include));

/** Why an include may not stand where it stands; empty if it may. */
export function complaintsOf(each) {
  const { file, room, include, quoted } = each;
  const said = [];
  const library = libraryOf(include);
  if (library && !PLACES[library].test(file)) {
    said.push(`${library} is included in one place only`);
  }
  if (!quoted) {
    return said;
  }
  if (include.includes('..')) {
    return [...said, 'a path that climbs'];
  }
  const other = roomOf(each);
  if (!room) {
    const isDoctor = file === 'src/doctor_agents.c' && include === 'signalbox/role/agent.h'; // it starts agents as the server does
    if (other === 'role' && file !== 'src/server.c' && !isDoctor) {
      said.push('only server.c knows the roles');
    }
    return said;
  }
  if (!(room in BELOW)) {
    said.push(`the room ${room} is new; say in BELOW where it stands`);
  } else if (other !== room && !BELOW[room].includes(other)) {
    said.push(`${room} does not know ${other}`);
  }
  if (other !== room && include !== 'version.h' && !include.startsWith('signalbox/') && !/^shell\/(rpc|wire)\.h$/.test(include)) {
    said.push('what crosses rooms stands in include/signalbox');
  }
  if (room === 'role' && other === 'role' && roleOf(include) !== roleOf(file)) {
    said.push('no role includes another role');
  }
  return said;
}
