// How the page's files are served: each in its codings, asked for again where it may change, kept for ever where its name says what it is.
import assert from 'node:assert/strict';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { test } from './lib/harness.mjs';
import { request } from './lib/http.mjs';
import { startServer } from './lib/server.mjs';

const server = await startServer();

const get = (path, headers = {}, method = 'GET') => request(method, server.url + path, { headers });

const index = await get('/');
const links = [...index.body.toString().matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, path]) => path);
const script = links.find((path) => /^\/assets\/.*\.js$/.test(path));

const CODINGS = [
  [undefined, undefined, (bytes) => bytes],
  ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
  ['gzip, deflate', 'gzip', gunzipSync],
  ['br;q=0.1, gzip;q=0.9', 'gzip', gunzipSync],
  ['identity', undefined, (bytes) => bytes],
];

test('every coding has the same bytes, its own length and its own tag', async () => {
  assert.ok(script, index.body.toString());
  for (const path of ['/', ...links]) {
    const plain = await get(path);
    const tags = new Map();
    assert.equal(plain.status, 200, path);
    for (const [accepted, coding, decoded] of CODINGS) {
      const { status, headers, body } = await get(path, accepted ? { 'Accept-Encoding': accepted } : {});
      assert.equal(status, 200);
      assert.equal(headers['content-encoding'], coding, `${path} for ${accepted}`);
      assert.equal(headers['vary'], 'Accept-Encoding');
      assert.equal(Number(headers['content-length']), body.length);
      assert.ok(decoded(body).equals(plain.body), `${path} for ${accepted}`);
      assert.equal(tags.get(coding) ?? headers.etag, headers.etag);
      tags.set(coding, headers.etag);
    }
    assert.equal(new Set(tags.values()).size, 3, [...tags.values()].join(' '));
  }
  const none = await get('/', { 'Accept-Encoding': 'identity;q=0, zstd' });
  assert.equal(none.status, 406);
  assert.equal(JSON.parse(none.body).status, 406);
});

test('HEAD says what GET would, and a tag that is known is answered without a body', async () => {
  for (const accepted of ['br', 'gzip', 'identity']) {
    const ask = { 'Accept-Encoding': accepted };
    const [whole, head] = [await get(script, ask), await get(script, ask, 'HEAD')];
    assert.equal(head.body.length, 0);
    for (const name of ['content-length', 'content-type', 'content-encoding', 'etag', 'cache-control', 'vary']) {
      assert.equal(head.headers[name], whole.headers[name], name);
    }
    for (const known of [whole.headers.etag, `"other", W/${whole.headers.etag}`, '*']) {
      const same = await get(script, { ...ask, 'If-None-Match': known });
      assert.deepEqual([same.status, same.body.length, same.headers.etag], [304, 0, whole.headers.etag]);
      assert.equal(same.headers['content-length'], undefined);
      assert.equal(same.headers.vary, 'Accept-Encoding');
    }
    const other = await get(script, { ...ask, 'If-None-Match': '"other"' });
    assert.equal(other.status, 200);
  }
  // The tag of another coding is none of this one.
  const { etag } = (await get('/', { 'Accept-Encoding': 'br' })).headers;
  assert.equal((await get('/', { 'Accept-Encoding': 'gzip', 'If-None-Match': etag })).status, 200);
});

test('what is named by its digest is kept for ever; the page itself is asked for again', async () => {
  assert.equal((await get('/')).headers['cache-control'], 'no-cache');
  assert.equal((await get('/index.html')).headers['cache-control'], 'no-cache');
  assert.equal((await get('/favicon.svg')).headers['cache-control'], 'no-cache');
  assert.match(script, /^\/assets\/[\w-]+-[\w-]{8}\.js$/);
  assert.equal((await get(script)).headers['cache-control'], 'public, max-age=31536000, immutable');
  for (const [path, type] of [['/', 'text/html; charset=utf-8'], [script, 'text/javascript; charset=utf-8'], ['/favicon.svg', 'image/svg+xml']]) {
    assert.equal((await get(path)).headers['content-type'], type);
  }
});

test('compressed files have no path of their own, and what is not there is said to be so', async () => {
  for (const path of ['/index.html.br', `${script}.gz`, '/assets/', '/assets', '/assets/..%2findex.html', '/INDEX.HTML']) {
    const { status, headers } = await get(path, { 'Accept-Encoding': 'br' });
    assert.deepEqual([status, headers['content-type']], [404, 'application/problem+json'], path);
  }
  assert.equal((await get(script, {}, 'POST')).status, 405);
});

test('the page may do what it needs and no more', async () => {
  const { headers } = await get('/');
  const policy = new Map(headers['content-security-policy'].split('; ').map((each) => [each.split(' ')[0], each.split(' ').slice(1).join(' ')]));
  const wanted = {
    'default-src': "'none'", 'script-src': "'self'", 'style-src': "'self'", 'connect-src': "'self'", 'object-src': "'none'", 'base-uri': "'none'",
    'form-action': "'none'", 'frame-ancestors': "'none'", 'require-trusted-types-for': "'script'", 'img-src': "'self' blob: data:", 'media-src': 'blob:',
  };
  for (const [name, value] of Object.entries(wanted)) {
    assert.equal(policy.get(name), value, name);
  }
  assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*|https?:/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
  assert.match(headers['permissions-policy'], /camera=\(\), .*geolocation=\(\).*microphone=\(\)/);
});
