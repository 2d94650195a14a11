// The website that everybody sees who brings no valid, fresh token, as internal/site shows it: here for
// when the origin does not answer, and for what never reaches it. Several ranges at once are answered
// by the whole page.
import { changed, pages, refusals } from './pages.js';

// show answers as the origin's website does.
export function show(request) {
  const path = new URL(request.url).pathname;
  if (/%(?![0-9a-f]{2})/i.test(path)) return sendText(request, 400, '400 Bad Request');
  const headers = new Headers({ 'Cache-Control': 'no-cache', Date: new Date().toUTCString() });
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    headers.set('Allow', 'GET, HEAD');
    return send(request, 405, refusals[405], headers);
  }
  const page = pages[decoded(path)];
  return page === undefined ? send(request, 404, refusals[404], headers) : showPage(request, page, headers);
}

function showPage(request, page, headers) {
  headers.set('Etag', page.etag);
  const other = isAnother(request.headers, page);
  if (!other && isKnown(request.headers, page)) return new Response(null, { status: 304, headers });
  headers.set('Last-Modified', changed);
  if (other) return sendBytes(request, 412, page.type, new Uint8Array(), headers);
  return sendPart(request, page, headers);
}

// decoded is a path without escapes. One that is no UTF-8 is no page's either.
function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

// isAnother says whether the visitor wants the page only as it was another time: If-Unmodified-Since
// counts where If-Match is missing (RFC 9110, section 13.2.2).
function isAnother(headers, page) {
  const tags = headers.get('If-Match');
  if (tags !== null) return !tags.split(',').some((tag) => tag.trim() === '*' || tag.trim() === page.etag);
  return time(headers.get('If-Unmodified-Since')) < time(changed);
}

// isKnown says whether the visitor has the page: If-Modified-Since counts where If-None-Match is
// missing.
function isKnown(headers, page) {
  const tags = headers.get('If-None-Match');
  if (tags !== null) return tags.split(',').some((tag) => tag.trim() === '*' || tag.trim().replace(/^W\//, '') === page.etag);
  return time(headers.get('If-Modified-Since')) >= time(changed);
}

// The three forms of HTTP's dates (RFC 9110, section 5.6.7), of which the last names no zone.
const date = /^(\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|\w+day, \d\d-\w{3}-\d\d [\d:]{8} GMT|\w{3} \w{3} [ \d]\d [\d:]{8} \d{4})$/;

// time is NaN, which is neither before nor after another, for what is no date of HTTP's.
function time(text) {
  return date.test(text ?? '') ? Date.parse(text.replace(/\d$/, '$& GMT')) : NaN;
}

// sendPart sends what Range asks for, if the page has that and is the one that If-Range means.
function sendPart(request, page, headers) {
  headers.set('Accept-Ranges', 'bytes');
  const range = request.headers.get('Range') ?? '';
  if (range === '' || range.includes(',') || !isMeant(request.headers, page)) return send(request, 200, page, headers);
  const body = bytes(page);
  const [, first, last] = /^bytes=(?=.*\d)(\d*)-(\d*)$/.exec(range) ?? [];
  if (first === undefined) return refuseRange(request, 'invalid range');
  if (first !== '' && Number(first) >= body.length) return refuseRange(request, 'invalid range: failed to overlap', body.length);
  if (first !== '' && last !== '' && Number(first) > Number(last)) return refuseRange(request, 'invalid range');
  const from = first === '' ? Math.max(body.length - Number(last), 0) : Number(first);
  const to = first === '' || last === '' ? body.length : Math.min(Number(last) + 1, body.length);
  headers.set('Content-Range', `bytes ${from}-${to - 1}/${body.length}`);
  return sendBytes(request, 206, page.type, body.subarray(from, to), headers);
}

function isMeant(headers, page) {
  const meant = headers.get('If-Range');
  return meant === null || meant === page.etag || time(meant) === time(changed);
}

function refuseRange(request, why, length) {
  const headers = { 'X-Content-Type-Options': 'nosniff', ...(length && { 'Content-Range': `bytes */${length}` }) };
  return sendText(request, 416, why + '\n', headers);
}

function sendText(request, status, text, headers) {
  return send(
    request,
    status,
    { type: 'text/plain; charset=utf-8', text },
    new Headers({ ...headers, Date: new Date().toUTCString() }),
  );
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
