// Processes of a test run are found by a mark in their environment, which children inherit even
// when they leave the session, the process group and their parents.
import { readdirSync, readFileSync } from 'node:fs';

export const MARK = 'SIGNALBOX_TEST_RUN';

function read(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // ended while we looked, or another user's
  }
}

/** [{pid, command}] of everything alive that was started with `MARK=run`. */
export function processesOf(run) {
  const found = [];
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) {
      continue;
    }
    const environment = read(`/proc/${pid}/environ`).split('\0');
    if (environment.includes(`${MARK}=${run}`)) {
      const command = read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim();
      found.push({ pid: Number(pid), command });
    }
  }
  return found;
}

export function killQuietly(pid, signal = 'SIGKILL') {
  try {
    process.kill(pid, signal);
  } catch {
    // gone already
  }
}
