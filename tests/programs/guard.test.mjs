// signalbox-guard: it starts an agent, tells how it ended, and leaves nothing behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { isAlive, program } from './support/acp.mjs';

class Guard {
  constructor(command, options = []) {
    const args = ['--lifeline', '3', '--cwd', '/', ...options, '--', ...command];
    this.child = spawn(program('guard'), args, { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
    this.lifeline = this.child.stdio[3];
    this.lifeline.on('error', () => {});
    this.child.stdin.on('error', () => {});
    this.told = [];
    this.said = [];
    this.waiting = [];
    // A guard that ends without having read all resets its lifeline, and readline passes that on.
    const quiet = () => {};
    createInterface({ input: this.lifeline }).on('error', quiet).on('line', (line) => this.#line(this.told, line));
    createInterface({ input: this.child.stdout }).on('error', quiet).on('line', (line) => this.#line(this.said, line));
    this.ended = once(this.child, 'exit').then(([code, signal]) => ({ code, signal }));
    this.closed = once(this.child, 'close');
  }

  #line(list, line) {
    list.push(line);
    this.waiting = this.waiting.filter((check) => !check());
  }

  // A line of the guard (told) or of the agent (said) that matches.
  line(list, pattern) {
    return new Promise((resolve) => {
      const check = () => {
        const found = list.map((line) => pattern.exec(line)).find(Boolean);
        if (found) {
          resolve(found);
        }
        return Boolean(found);
      };
      if (!check()) {
        this.waiting.push(check);
      }
    });
  }

  send(line) {
    this.lifeline.write(`${line}\n`);
  }
}

const sh = (script) => ['sh', '-c', script];
// A process in a session of its own that ignores SIGTERM, and says its pid.
const stubborn = 'setsid sh -c \'trap "" TERM HUP INT; echo pid $$; while :; do sleep 1000; done\' &';

test('tells the start and the exit status', async () => {
  const guard = new Guard(sh('exit 7'));
  const [, pid] = await guard.line(guard.told, /^started (\d+)$/);
  assert.ok(Number(pid) > 1);
  await guard.line(guard.told, /^exited 7$/);
  assert.deepEqual(await guard.ended, { code: 0, signal: null });
  assert.equal(guard.told.length, 2);
});

test('tells the signal that killed the agent', async () => {
  const guard = new Guard(sh('kill -SEGV $$'));
  await guard.line(guard.told, /^killed 11$/);
  await guard.ended;
});

test('finds the program by PATH, in the given folder, with the environment as it is', async () => {
  const guard = new Guard(['env', 'A=b c', 'sh', '-c', 'echo "$A $PWD"'], ['--cwd', '/usr']);
  await guard.line(guard.said, /^b c \/usr$/);
  await guard.ended;
});

test('tells why a program cannot be started', async () => {
  const missing = new Guard(['signalbox-no-such-program']);
  await missing.line(missing.told, /^failed 2 No such file or directory: signalbox-no-such-program$/);
  assert.equal((await missing.ended).code, 1);
  await missing.closed;
  assert.deepEqual(missing.told.length, 1);

  const folder = new Guard(['/']);
  await folder.line(folder.told, /^failed 13 Permission denied/);
  await folder.ended;

  const script = path.join(mkdtempSync(path.join(os.tmpdir(), 'signalbox-guard-')), 'script');
  writeFileSync(script, '#!/no/such/interpreter\n', { mode: 0o755 });
  const orphan = new Guard([script]);
  await orphan.line(orphan.told, new RegExp(`^failed 2 What runs it was not found .*: ${script}$`));
  await orphan.ended;

  const cwd = new Guard(['true'], ['--cwd', '/no/such/folder']);
  await cwd.line(cwd.told, /^failed 2 No such file or directory: \/no\/such\/folder$/);
  await cwd.ended;
});

test('refuses a wrong command line', async () => {
  for (const args of [[], ['--cwd', '/', 'true'], ['--lifeline', '1', '--cwd', '/', 'true'],
    ['--lifeline', '3', '--cwd', '/', '--rlimit', 'nofile=many', 'true'], ['--lifeline', '3', '--cwd', '/', '--nice', '20', 'true'],
    ['--lifeline', '3', '--cwd', '/', '--oom-score-adj', '-1', 'true'], ['--lifeline', '3', '--cwd', '/']]) {
    const child = spawn(program('guard'), args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    assert.equal((await once(child, 'exit'))[0], 64);
  }
});

test('end of file goes through in both directions', async () => {
  const guard = new Guard(['cat']);
  guard.child.stdin.write('hello\n');
  await guard.line(guard.said, /^hello$/);
  const outputEnded = once(guard.child.stdout, 'end');
  guard.child.stdin.end();
  await outputEnded;
  await guard.line(guard.told, /^exited 0$/);
  await guard.ended;
});

test('the agent has standard signals and no descriptor but its three', async () => {
  const guard = new Guard(sh('ls /proc/self/fd | tr "\\n" " "; echo; grep -E "Sig(Blk|Ign)" /proc/self/status | tr -d "\\n\\t"; echo'));
  await guard.line(guard.said, /^0 1 2 3 $/); // 3 is ls's own look at the folder
  await guard.line(guard.said, /^SigBlk:0+SigIgn:0+$/);
  await guard.ended;
});

test('limits reach the agent', async () => {
  const guard = new Guard(sh('ulimit -n; ulimit -f'), ['--rlimit', 'nofile=77', '--rlimit', 'fsize=1048576']);
  await guard.line(guard.said, /^77$/);
  await guard.line(guard.said, /^2048$/);
  await guard.ended;
});

test('a soft limit is one that the agent may raise', async () => {
  const guard = new Guard(sh('ulimit -n; ulimit -Sn "$(ulimit -Hn)"; [ "$(ulimit -n)" != 77 ] && echo raised'), ['--rlimit', 'soft-nofile=77']);
  await guard.line(guard.said, /^77$/);
  await guard.line(guard.said, /^raised$/);
  await guard.ended;
});

test('niceness and the score for a lack of memory reach the agent', async () => {
  const guard = new Guard(sh('nice; cat /proc/self/oom_score_adj; ulimit -t; ulimit -Ht'),
    ['--nice', '6', '--oom-score-adj', '345', '--rlimit', 'cpu=40']);
  for (const expected of [/^6$/, /^345$/, /^40$/, /^45$/]) { // SIGXCPU first, SIGKILL five seconds later
    await guard.line(guard.said, expected);
  }
  await guard.ended;
});

test('a limit that cannot be had is said', async () => {
  const guard = new Guard(['true'], ['--rlimit', 'nofile=99999999999']);
  await guard.line(guard.told, /^failed \d+ .*: nofile$/);
  await guard.ended;
});

test('when the server is gone the whole tree goes, in whatever session and whatever it ignores', async () => {
  const stranger = spawn('sleep', ['1000']);
  const guard = new Guard(sh(`trap "" TERM; ${stubborn} while :; do sleep 1000; done`));
  const [, agent] = await guard.line(guard.told, /^started (\d+)$/);
  const [, grandchild] = await guard.line(guard.said, /^pid (\d+)$/);
  guard.lifeline.destroy();
  await guard.ended;
  assert.equal(isAlive(Number(agent)), false);
  assert.equal(isAlive(Number(grandchild)), false);
  assert.equal(isAlive(stranger.pid), true);
  stranger.kill();
});

test('what an agent leaves behind is ended after it', async () => {
  const guard = new Guard(sh(`${stubborn} read line`));
  const [, grandchild] = await guard.line(guard.said, /^pid (\d+)$/);
  guard.child.stdin.end('go\n');
  await guard.line(guard.told, /^exited 0$/);
  await guard.ended;
  assert.equal(isAlive(Number(grandchild)), false);
});

test('stop lets the agent end by itself, then asks, then forces', async () => {
  const byItself = new Guard(['cat']);
  await byItself.line(byItself.told, /^started/);
  byItself.send('stop 60000');
  byItself.child.stdin.end();
  await byItself.line(byItself.told, /^exited 0$/);
  await byItself.ended;

  const asked = new Guard(sh('trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.05; done'));
  await asked.line(asked.said, /^ready$/);
  asked.send('stop 1');
  await asked.line(asked.said, /^bye$/);
  await asked.line(asked.told, /^exited 3$/);
  await asked.ended;

  const forced = new Guard(sh('trap "" TERM; echo ready; while :; do sleep 1000; done'));
  await forced.line(forced.said, /^ready$/);
  forced.send('stop 1');
  await forced.line(forced.told, /^killed 9$/);
  await forced.ended;
});

test('a stopped process is ended too', async () => {
  const guard = new Guard(sh('echo ready; kill -STOP $$'));
  await guard.line(guard.said, /^ready$/);
  guard.send('stop 1');
  await guard.line(guard.told, /^killed 15$/);
  await guard.ended;
});

test('kill is at once', async () => {
  const guard = new Guard(sh('trap "echo asked" TERM; echo ready; while :; do sleep 1000; done'));
  await guard.line(guard.said, /^ready$/);
  guard.send('kill');
  await guard.line(guard.told, /^killed 9$/);
  await guard.ended;
  assert.deepEqual(guard.said, ['ready']);
});

test('unknown, overlong and split lines do no harm', async () => {
  const guard = new Guard(['cat']);
  await guard.line(guard.told, /^started/);
  guard.send('hello');
  guard.send('x'.repeat(5000));
  guard.send('stopp 1');
  guard.child.stdin.write('still here\n');
  await guard.line(guard.said, /^still here$/);
  guard.lifeline.write('ki');
  setImmediate(() => guard.lifeline.write('ll\n'));
  await guard.line(guard.told, /^killed 9$/);
  await guard.ended;
});

test('signals of a terminal do not end the guard or its agent', async () => {
  const guard = new Guard(['cat']);
  await guard.line(guard.told, /^started/);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) {
    guard.child.kill(signal);
  }
  guard.child.stdin.write('still here\n');
  await guard.line(guard.said, /^still here$/);
  guard.child.stdin.end();
  await guard.line(guard.told, /^exited 0$/);
  assert.deepEqual(await guard.ended, { code: 0, signal: null });
});

test('processes that fork and exit in a row do not escape', async () => {
  // Each step is a new process in a new session; its parent is gone at once.
  const script = `
use POSIX;
$| = 1;
$SIG{TERM} = "IGNORE";
for (1 .. 4) {
    next if fork;
    setsid;
    while (1) { POSIX::_exit(0) if fork; }
}
print "ready\\n";
pause while 1;
`;
  const guard = new Guard(['perl', '-e', script]);
  await guard.line(guard.said, /^ready$/);
  guard.send('kill');
  await guard.line(guard.told, /^killed 9$/);
  await guard.ended; // which means that no child was left
});

test('odd names of processes do not confuse the walk', async () => {
  const guard = new Guard(['perl', '-e', `
use POSIX;
$| = 1;
$0 = "a) R 1 (b)";
$SIG{TERM} = "IGNORE";
if (fork == 0) { setsid; print "pid $$\\n"; }
pause while 1;
`]);
  const [, grandchild] = await guard.line(guard.said, /^pid (\d+)$/);
  guard.send('stop 1');
  await guard.line(guard.told, /^killed 9$/);
  await guard.ended;
  assert.equal(isAlive(Number(grandchild)), false);
});

test('a program runs inside of the folder, wherever links lead', async () => {
  const folder = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'signalbox-guard-')));
  try {
    mkdirSync(path.join(folder, 'work/deep'), { recursive: true });
    symlinkSync('deep', path.join(folder, 'work/within'));
    symlinkSync('..', path.join(folder, 'work/out'));
    symlinkSync(path.join(folder, 'work/deep'), path.join(folder, 'work/absolute'));
    const work = path.join(folder, 'work');
    for (const inside of ['deep', 'within', '.']) {
      const guard = new Guard(sh('pwd -P'), ['--cwd', work, '--inside', inside]);
      await guard.line(guard.said, new RegExp(`^${inside === '.' ? work : path.join(work, 'deep')}$`));
      await guard.ended;
    }
    for (const inside of ['out', 'absolute', '..', '/']) {
      const guard = new Guard(sh('pwd -P'), ['--cwd', work, '--inside', inside]);
      await guard.line(guard.told, /^failed 18 It leads out of the workspace/);
      await guard.ended;
      assert.deepEqual(guard.said, []);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
