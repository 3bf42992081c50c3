// What the server's CPU went to, from perf's samples:
//
//     perf script -i FILE -F comm,ip,sym,dso | node bench/report/profile.mjs > profile.json
//
// A sample counts for the first kind of work below that its stack shows, so that the shares add up to all of it. The JSON is
// {samples, roles: {ROLE: share}, costs: [{name, share}], of: {ROLE: [{name, share}]}}; shares of 1, the largest first, those
// within a role of the role's.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const OWN = "Signalbox's own code";

/** Kinds of work, from the most telling: what matches anywhere in a stack of `function (library)` lines. */
const KINDS = [
  ["TCP: the send, the loopback, and the receiver's half of it", /\b(tcp_sendmsg|sock_sendmsg|__sys_sendto|sock_write_iter)\b/],
  ['io_uring itself', /\b(io_submit_sqes|__do_sys_io_uring_enter)\b|liburing/],
  ['sleeping, and waking other threads', /\b(do_epoll_wait|__x64_sys_epoll_wait|__x64_sys_poll|__x64_sys_clock_nanosleep|eventfd_write|eventfd_read|futex|schedule)/],
  ["the store's file", /\b(__x64_sys_pwrite64|__x64_sys_pread64|__x64_sys_fcntl|__x64_sys_fdatasync|__x64_sys_fsync|__x64_sys_ftruncate)\b/],
  ['reading what agents say', /\b(pipe_read|anon_pipe_read|ksys_read)\b/],
  ['page faults', /\b(exc_page_fault|asm_exc_page_fault|__x64_sys_(mprotect|madvise|munmap|mmap|brk))\b/],
  ['SQLite', /\bsqlite3|libsqlite3/],
  ['parsing JSON (json-c)', /\bjson_tokener|\(.*libjson-c/],
  ['interrupts and the rest of the kernel', /do_syscall_64|asm_sysvec|\[kernel/],
  ['allocating memory', /\b(malloc|calloc|realloc|free|_int_malloc|_int_free|unlink_chunk\S*|__libc_calloc|malloc_consolidate|cfree)\b.*libc/],
];

/** The kind of work of a stack: lines of `function (library)`, the innermost first. */
export function kindOf(stack) {
  for (const [name, pattern] of KINDS) {
    if (stack.some((frame) => pattern.test(frame))) {
      return name;
    }
  }
  return OWN;
}

const sorted = (counts, all) => [...counts].map(([name, count]) => ({ name, share: count / all })).sort((a, b) => b.share - a.share);
const add = (counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1);

/** Of samples {comm, stack}. */
export function profileOf(samples) {
  const roles = new Map();
  const costs = new Map();
  const of = new Map();
  for (const { comm, stack } of samples) {
    const role = comm.split('/')[0];
    const kind = kindOf(stack);
    add(roles, role);
    add(costs, kind);
    of.set(role, of.get(role) ?? new Map());
    add(of.get(role), kind);
  }
  return {
    samples: samples.length,
    roles: Object.fromEntries(sorted(roles, samples.length).map(({ name, share }) => [name, share])),
    costs: sorted(costs, samples.length),
    of: Object.fromEntries([...of].map(([role, counts]) => [role, sorted(counts, roles.get(role))])),
  };
}

/** Of the text of `perf script -F comm,ip,sym,dso`: a line with the thread's name, then a line for each frame, then none. */
export async function samplesOf(input) {
  const samples = [];
  let sample;
  for await (const line of createInterface({ input })) {
    const frame = /^\s+[0-9a-f]+ (.+)$/.exec(line);
    if (frame && sample) {
      sample.stack.push(frame[1]);
    } else if (line.trim() === '') {
      sample = undefined;
    } else {
      sample = { comm: line.trim(), stack: [] };
      samples.push(sample);
    }
  }
  return samples.filter(({ stack }) => stack.length > 0);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const samples = await samplesOf(process.stdin);
  if (samples.length === 0) {
    console.error('no samples');
    process.exit(1);
  }
  console.log(JSON.stringify(profileOf(samples)));
}
