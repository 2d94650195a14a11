// The edge of this folder: it passes WebSockets on to one origin, opens nothing in them, and shows an
// ordinary website to everyone else. worker.js runs it on Cloudflare Workers, deno.js on Deno.
//
// A WebSocket is asked of the origin for whoever brings a valid, fresh token; every other request becomes
// a plain visit to the origin's website. The origin takes a token once, which no edge can tell: isolates
// share no memory. What the origin refuses is shown like everything else, and when it does not
// answer, the website that is here. Nothing depends on the path, and nothing of a request is logged.
import * as crypto from 'node:crypto';
import { opens, readSecrets } from '../gate/token.js';
import { show } from './site.js';

export const patience = 10_000; // ms that the origin may take to answer: what takes longer is down

// The headers of a plain visit that the origin gets. A list of what may pass cannot forget one that
// names the visitor.
const passedOn = ['If-Match', 'If-None-Match', 'If-Modified-Since', 'If-Unmodified-Since', 'If-Range', 'Range'];

// The headers of plain answers that tell what stands behind the edge, or that are of the connection to it.
const keptBack = ['Server', 'Via', 'Alt-Svc', 'X-Powered-By', 'Connection', 'Keep-Alive', 'Transfer-Encoding'];

// readSettings reads the two settings: ORIGIN is the URL of the origin, and may have a path that is put
// before every request's; GATE_SECRETS, a secret, holds the texts of the gate secrets, the current one
// first. What is missing is said in the log: visitors see the website in any case.
export function readSettings(env) {
  const origin = /^https?:/i.test(env.ORIGIN) && URL.canParse(env.ORIGIN) ? new URL(env.ORIGIN) : null;
  const secrets = readSecrets((env.GATE_SECRETS ?? '').trim().replace(/\s+/g, ' '));
  if (origin === null) {
    console.error('ORIGIN is not the URL of an origin: everybody sees the website. Try ORIGIN=https://origin.example');
  }
  if (secrets.length === 0) {
    console.error('GATE_SECRETS holds no gate secret: nobody is let in. Try "npx wrangler secret put GATE_SECRETS"');
  }
  return { origin, secrets, isDown: false };
}

// visit answers everything; with a socket, if the origin gives one. ask gets the origin's answer.
export async function visit(request, settings, ask = askOrigin) {
  if (!reachesOrigin(request, settings)) return show(request);
  try {
    const response = await ask(request, settings);
    if (response.status >= 500) throw new Error('the origin answers with a server error');
    mark(settings, false);
    return response.status === 101 ? response : disguise(response);
  } catch {
    mark(settings, true);
    return show(request);
  }
}

// reachesOrigin leaves out what no door of the origin takes; the website answers it as the origin would.
function reachesOrigin(request, { origin }) {
  return origin !== null && request.body === null && (request.method === 'GET' || request.method === 'HEAD');
}

async function askOrigin(request, settings) {
  const socket = wantsSocket(request, settings);
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), patience);
  try {
    return await fetch(target(request, settings), {
      method: request.method,
      headers: socket ? forSocket(request) : forPage(request),
      redirect: 'manual',
      signal: limit.signal,
    });
  } finally {
    clearTimeout(timer);
  }
}

// target is where the origin is asked for what the request asks for.
export function target(request, settings) {
  const to = new URL(settings.origin);
  to.pathname = to.pathname.replace(/\/$/, '') + new URL(request.url).pathname;
  return to;
}

// forSocket are the headers that the origin gets of a request for a socket.
export function forSocket({ headers }) {
  return { Upgrade: 'websocket', Cookie: headers.get('Cookie') };
}

// forPage are those of a plain visit. What came packed, some runtimes would unpack and still call packed.
function forPage({ headers }) {
  const passed = passedOn.filter((name) => headers.has(name)).map((name) => [name, headers.get(name)]);
  return { ...Object.fromEntries(passed), 'Accept-Encoding': 'identity' };
}

// disguise is a plain answer of the origin's as the edge shows it.
function disguise(response) {
  const headers = new Headers(response.headers);
  for (const name of keptBack) headers.delete(name);
  headers.set('Server', 'nginx'); // as internal/guise has it
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

// mark logs when the origin goes and when it comes back, not each request.
function mark(settings, isDown) {
  if (settings.isDown === isDown) return;
  settings.isDown = isDown;
  console.warn(isDown ? 'the origin does not answer: showing the website' : 'the origin answers again');
}

// wantsSocket says whether the request asks for a WebSocket and brings a token. Whatever it brings is
// looked at in the same way, so that the time of a refusal tells nothing.
export function wantsSocket(request, settings) {
  const isAdmitted = admits(request.headers.get('Cookie') ?? '', settings.secrets);
  return isAdmitted && reachesOrigin(request, settings) && isUpgrade(request);
}

// isUpgrade checks all that the runtime or the origin would answer with an error of its own.
function isUpgrade({ method, headers }) {
  return method === 'GET' && hasWord(headers.get('Connection'), 'upgrade') &&
    headers.get('Upgrade')?.toLowerCase() === 'websocket' &&
    headers.get('Sec-WebSocket-Version') === '13' && /^[A-Za-z0-9+/]{22}==$/.test(headers.get('Sec-WebSocket-Key') ?? '');
}

function hasWord(list, word) {
  return (list ?? '').split(',').some((item) => item.trim().toLowerCase() === word);
}

// admits wants exactly one cookie: of two, the origin might read the other.
function admits(cookies, secrets) {
  const tokens = cookies.split(';').map((pair) => pair.trim()).filter((pair) => pair.startsWith('session='));
  return opens(tokens.length === 1 ? tokens[0].slice('session='.length) : '', secrets, crypto);
}
