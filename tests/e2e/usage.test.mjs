// Wrong usage of the program: the exit status is 2, and what is wrong is said before the usage.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from './lib/harness.mjs';
import { runSignalbox, temporaryFolder } from './lib/server.mjs';

const WRONG = [
  [[], /Usage: signalbox SUBCOMMAND/],
  [['bogus'], /no such subcommand: bogus/],
  [['serve', 'extra'], /unexpected argument: extra/],
  [['serve', '--bogus'], /'--bogus'/],
  [['serve', '--listen'], /'--listen' requires an argument/],
  [['check-config', 'a', 'b'], /Usage: signalbox check-config/],
  [['doctor', 'extra'], /unexpected argument: extra/],
  [['audit', '--bogus'], /'--bogus'/],
  [['replay-agent'], /Usage: signalbox replay-agent/],
  [['schema', 'extra'], /unknown argument: extra/],
  [['schema', '--dialect'], /--dialect needs a name/],
  [['schema', '--dialect', 'craft'], /no dialect with messages of its own: craft/],
  [['schema', '--dialect', 'claudecodeui', '--openapi'], /either --openapi or --dialect/],
  [['store'], /check or compact\?/],
  [['store', 'mend'], /unexpected argument: mend/],
  [['store', 'check', '/somewhere'], /unexpected argument: \/somewhere/],
];

for (const [args, said] of WRONG) {
  test(`signalbox ${args.join(' ')}`.trim(), async () => {
    const { code, output } = await runSignalbox(args);
    assert.equal(code, 2, output);
    assert.match(output, said);
    assert.match(output, /Usage: signalbox/);
  });
}

test('an address that is taken is all that a server says of it', async () => {
  const other = net.createServer();
  await new Promise((done) => other.listen(0, '127.0.0.1', done));
  const { code, output } = await runSignalbox(['serve', '--listen', `127.0.0.1:${other.address().port}`, '--data', temporaryFolder()]);
  other.close();
  assert.equal(code, 1);
  assert.match(output, /the address cannot be served/);
  assert.doesNotMatch(output, /level=warn/);
});
