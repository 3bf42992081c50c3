// HTTP as programs speak it: no connection is kept, and every header is ours to choose.
import http from 'node:http';
import { DEFAULT_WAIT_MS, within } from './wait.mjs';

/** -> {status, headers, text, json}; `body` is sent as JSON unless it is a string or a Buffer. */
export function request(method, url, { body, headers = {}, token } = {}) {
  const isRaw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  const payload = isRaw ? body : JSON.stringify(body);
  const all = { ...headers };
  if (payload !== undefined) {
    all['Content-Type'] ??= 'application/json';
    all['Content-Length'] = Buffer.byteLength(payload);
  }
  if (token) {
    all.Authorization = `Bearer ${token}`;
  }
  const answered = new Promise((resolve, reject) => {
    const call = http.request(url, { method, headers: all, agent: false }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => resolve(new Answer(response, Buffer.concat(parts))));
    });
    call.on('error', reject);
    call.end(payload);
  });
  return within(answered, DEFAULT_WAIT_MS, () => `${method} ${url}`);
}

class Answer {
  constructor(response, body) {
    this.status = response.statusCode;
    this.headers = response.headers;
    this.body = body;
    this.text = body.toString();
  }

  get json() {
    return JSON.parse(this.text);
  }
}
