// The website that everybody sees who brings no valid, fresh token, as internal/site shows it: here for
// when the origin does not answer, and for what never reaches it. Ranges other than one that the
// page has, If-Match, If-Unmodified-Since and If-Range are answered by the whole page.
import { changed, pages, refusals } from './pages.js';

// show answers as the origin's website does.
export function show(request) {
  const headers = new Headers({ 'Cache-Control': 'no-cache', Date: new Date().toUTCString() });
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    headers.set('Allow', 'GET, HEAD');
    return send(request, 405, refusals[405], headers);
  }
  const page = pages[new URL(request.url).pathname];
  if (page === undefined) return send(request, 404, refusals[404], headers);
  headers.set('Etag', page.etag);
  if (isKnown(request.headers, page)) return new Response(null, { status: 304, headers });
  headers.set('Accept-Ranges', 'bytes');
  headers.set('Last-Modified', changed);
  return sendPart(request, page, headers);
}

// isKnown says whether the visitor has the page: If-Modified-Since counts where If-None-Match is
// missing (RFC 9110, section 13.2.2).
function isKnown(headers, page) {
  const tags = headers.get('If-None-Match');
  if (tags !== null) return tags.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === page.etag);
  return Date.parse(headers.get('If-Modified-Since') ?? '') >= Date.parse(changed);
}

// sendPart sends what Range asks for, if the page has that.
function sendPart(request, page, headers) {
  const body = bytes(page);
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get('Range') ?? '') ?? ['', '', ''];
  if (first === '' && last === '') return send(request, 200, page, headers);
  const from = first === '' ? Math.max(body.length - Number(last), 0) : Number(first);
  const to = first === '' || last === '' ? body.length : Math.min(Number(last) + 1, body.length);
  if (from >= to) return send(request, 200, page, headers);
  headers.set('Content-Range', `bytes ${from}-${to - 1}/${body.length}`);
  return sendBytes(request, 206, page.type, body.subarray(from, to), headers);
}

function send(request, status, page, headers) {
  return sendBytes(request, status, page.type, bytes(page), headers);
}

function sendBytes(request, status, type, body, headers) {
  headers.set('Content-Type', type);
  headers.set('Content-Length', String(body.length));
  return new Response(request.method === 'HEAD' ? null : body, { status, headers });
}

function bytes(page) {
  return page.text === undefined
    ? Uint8Array.from(atob(page.base64), (letter) => letter.charCodeAt(0))
    : new TextEncoder().encode(page.text);
}
