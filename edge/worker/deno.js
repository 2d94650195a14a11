// The edge on Deno, or on Node.js: edge.js decides and shows the website, and this file gives it a server
// and passes WebSockets on, as fetch opens none there. The settings come by the environment, and
// LISTEN (HOST:PORT) beside:
//
//	deno run --allow-env --allow-net edge/worker/deno.js
//
// A socket's bytes are passed on as they are: nothing is unpacked, and a slow end is waited for.
import { Buffer } from 'node:buffer';
import http from 'node:http';
import https from 'node:https';
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { forSocket, patience, readSettings, target, visit, wantsSocket } from './edge.js';
import { reasons } from './site.js';

const idle = 15 * 60 * 1000; // ms: a socket without a byte for this long is cut

const settings = readSettings(process.env);

const server = http.createServer((incoming, to) => reply(incoming, to));
for (const event of ['upgrade', 'connect']) {
  server.on(event, (incoming, near, early) => {
    try {
      pass(incoming, near, early);
    } catch {
      near.destroy(); // a request that cannot be put to the origin
    }
  });
}
server.keepAliveTimeout = 120_000; // ms, as bin/edge has it
server.headersTimeout = 10_000;
listen(process.env.LISTEN ?? '127.0.0.1:8080');

function listen(at) {
  const { hostname, port } = new URL('http://' + at);
  server.listen(Number(port || 80), hostname.replace(/[[\]]/g, ''));
}

// reply answers what is no socket. A body, which nobody wants, is not waited for.
async function reply(incoming, to) {
  try {
    const response = await visit(asRequest(incoming), settings);
    to.removeHeader('Connection'); // and with it Keep-Alive, which says what program this is
    for (const [name, value] of dressed(response, to.shouldKeepAlive === false)) to.appendHeader(name, value);
    to.writeHead(response.status, wordsFor(response.status));
    if (response.body === null) to.end();
    else await pipeline(Readable.fromWeb(response.body), to);
  } catch {
    to.destroy(); // the visitor has gone, or the origin in the middle of a page
  }
}

// asRequest takes a URL that names a host, too, as proxies are asked. What is neither that nor a path
// becomes one that is malformed.
function asRequest({ method, url, headers }) {
  const isWhole = /^https?:/i.test(url) && URL.canParse(url);
  const at = isWhole ? url : 'http://edge.invalid' + (url.startsWith('/') ? url : '/%00');
  return { method, url: at, headers: asHeaders(headers), body: hasBody(headers) ? {} : null };
}

function asHeaders(headers) {
  return new Headers(Object.entries(headers).flatMap(([name, values]) => [values].flat().map((value) => [name, String(value)])));
}

function hasBody(headers) {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

// pass asks the origin for a socket, and shows what else it answers. The server has let the connection
// go: one that rests for longer than the origin may take is ended here. join gives it longer.
function pass(incoming, near, early) {
  near.on('error', () => near.destroy());
  near.setTimeout(2 * patience, () => near.destroy());
  const request = asRequest(incoming);
  if (!wantsSocket(request, settings)) return refuse(asPage(request), near);
  const ask = requestOf(request);
  near.on('close', () => ask.destroy());
  ask.on('upgrade', (answer, far, first) => join(near, early, answer, far, first));
  ask.on('response', (answer) => refuse(request, near, () => asResponse(answer)));
  ask.on('timeout', () => ask.destroy(new Error('the origin does not answer')));
  ask.on('error', (err) => refuse(request, near, () => Promise.reject(err)));
  ask.end();
}

// asPage is the request without the wish for a socket, which fetch cannot fulfil.
function asPage(request) {
  request.headers.delete('Upgrade');
  return request;
}

function requestOf(request) {
  const to = target(request, settings);
  const headers = {
    ...forSocket(request),
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': request.headers.get('Sec-WebSocket-Key'),
  };
  return (to.protocol === 'https:' ? https : http).request(to, { headers, timeout: patience, agent: false });
}

function asResponse(answer) {
  const body = answer.statusCode === 304 ? null : Readable.toWeb(answer);
  return new Response(body, { status: answer.statusCode, headers: asHeaders(answer.headers) });
}

// join copies what comes from one end to the other until both have ended, or one is cut.
function join(near, early, answer, far, first) {
  near.write(`HTTP/1.1 101 Switching Protocols\r\n${lines(answer.rawHeaders)}\r\n`);
  near.write(first);
  far.write(early);
  for (const [from, to] of [[near, far], [far, near]]) {
    from.setNoDelay(true);
    from.setTimeout(idle, () => from.destroy());
    from.on('error', () => to.destroy());
    from.on('close', () => to.writableEnded || to.destroy()); // what was read before the end is written yet
    from.pipe(to);
  }
}

function lines(raw) {
  let text = '';
  for (let i = 0; i < raw.length; i += 2) text += `${raw[i]}: ${raw[i + 1]}\r\n`;
  return text;
}

// refuse shows the website to whoever asked for a socket and gets none. The server has let the
// connection go, so that it ends with the answer.
async function refuse(request, near, ask) {
  try {
    const response = await visit(request, settings, ask);
    const body = Buffer.from(await response.arrayBuffer());
    const headers = dressed(response, true).map(([name, value]) => `${name}: ${value}\r\n`);
    near.write(`HTTP/1.1 ${response.status} ${wordsFor(response.status)}\r\n${headers.join('')}\r\n`);
    near.end(body);
  } catch {
    near.destroy(); // the origin has gone in the middle of a page
  }
}

// The order of nginx's headers; others come behind.
const order = 'server date content-type content-length last-modified transfer-encoding connection vary etag'.split(' ');

// dressed are the headers of an answer in the order and spelling of nginx's.
function dressed({ headers }, ends) {
  const rank = (name) => order.includes(name) ? order.indexOf(name) : order.length;
  return [...headers, ['connection', ends ? 'close' : 'keep-alive']]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([name, value]) => [name === 'etag' ? 'ETag' : spelled(name), value]);
}

function wordsFor(status) {
  return reasons[status] ?? http.STATUS_CODES[status];
}

function spelled(name) {
  return name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
}
