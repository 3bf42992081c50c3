// A network that can be slow, cut, or swallow everything: a TCP proxy before a server.
import net from 'node:net';
import { after } from 'node:test';

export class Proxy {
  pairs = new Set();
  connections = 0;
  /** Bytes a second from the server, and milliseconds that everything takes; 0: as it comes. */
  rate = 0;
  delay = 0;
  /** Accepts nothing; what is open is not touched. */
  isRefusing = false;
  /** Nothing gets through any more, and nobody is told. */
  isBlackHole = false;

  static async before(server) {
    const proxy = new Proxy(server.port);
    await new Promise((done) => proxy.listener.listen(0, '127.0.0.1', done));
    proxy.port = proxy.listener.address().port;
    proxy.url = `http://127.0.0.1:${proxy.port}`;
    after(() => proxy.close());
    return proxy;
  }

  constructor(port) {
    this.listener = net.createServer((client) => {
      if (this.isRefusing) {
        client.destroy();
        return;
      }
      this.connections++;
      const server = net.connect(port, '127.0.0.1');
      const pair = { client, server };
      this.pairs.add(pair);
      for (const [from, to, isDown] of [[client, server, false], [server, client, true]]) {
        from.on('error', () => {});
        from.on('data', (part) => this.pass(part, from, to, isDown));
        from.on('close', () => {
          if (!this.isBlackHole) {
            to.destroy();
            this.pairs.delete(pair);
          }
        });
      }
    });
  }

  // In order, since each piece is passed on before the next one is read.
  pass(part, from, to, isDown) {
    if (this.isBlackHole) {
      return;
    }
    const wait = this.delay + (isDown && this.rate ? (part.length * 1000) / this.rate : 0);
    if (wait === 0) {
      if (!to.write(part)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
      return;
    }
    from.pause();
    setTimeout(() => {
      if (!this.isBlackHole && !to.destroyed) {
        to.write(part);
      }
      from.resume();
    }, wait);
  }

  /** As when a cable is pulled and the machines notice. */
  cut() {
    for (const { client, server } of this.pairs) {
      client.destroy();
      server.destroy();
    }
    this.pairs.clear();
  }

  close() {
    this.isBlackHole = false;
    this.cut();
    this.listener.close();
  }
}
