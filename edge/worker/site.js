// The website that everybody sees who brings no valid, fresh token, as internal/site shows it: here for
// when the origin does not answer, and for what never reaches it. A page is never packed here: whoever
// runs Workers for others does that.
import { changed, missing, pages } from './pages.js';

// show answers as the origin's website does.
export function show(request) {
  const path = decoded(new URL(request.url).pathname);
  if (path === null) return refuse(request, 400);
  if (!['GET', 'HEAD', 'POST'].includes(request.method)) return refuse(request, 405);
  const page = pages[address(path)];
  if (page === undefined) return send(request, 404, missing, withEtag(missing, varying(missing)));
  return request.method === 'POST' ? refuse(request, 405) : showPage(request, page);
}

// decoded is a path without escapes; null if it has one that is none.
function decoded(path) {
  if (/%(?![0-9a-f]{2})|%00/i.test(path)) return null;
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // it is no UTF-8, and no page's either
  }
}

// address is the page that a path asks for.
function address(path) {
  const at = path.replace(/\/+/g, '/');
  return at.endsWith('/') ? at + 'index.html' : at;
}

// These are the headers that nginx has for every page, in an answer with a page and in one without.
function varying(page) {
  return new Headers({ Server: 'nginx', Date: new Date().toUTCString(), ...(page.packs && { Vary: 'Accept-Encoding' }) });
}

function withEtag(page, headers) {
  headers.set('ETag', page.etag);
  return headers;
}

function showPage(request, page) {
  const headers = varying(page);
  const verdict = judge(request.headers, page);
  if (verdict === 412) return refuse(request, 412, headers);
  if (verdict === 304) {
    headers.set('Last-Modified', changed);
    return new Response(null, { status: 304, headers: withEtag(page, headers) });
  }
  return sendPart(request, page, headers);
}

// judge is the status of a page by the conditions of a request, which it weighs as nginx does: a day
// counts if it is the page's own.
function judge(headers, page) {
  if (time(headers.get('If-Unmodified-Since')) < time(changed)) return 412;
  const must = headers.get('If-Match');
  if (must && !lists(must, page.etag)) return 412;
  const since = headers.get('If-Modified-Since') || null;
  const tags = headers.get('If-None-Match') || null;
  if (since === null && tags === null) return 200;
  if (since !== null && time(since) !== time(changed)) return 200;
  return tags !== null && !lists(tags.replace(/\bW\//g, ''), page.etag) ? 200 : 304;
}

function lists(tags, etag) {
  return tags === '*' || tags.split(',').some((tag) => tag.trim() === etag);
}

// The three forms of HTTP's dates (RFC 9110, section 5.6.7), of which the last names no zone.
const date = /^(\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|\w+day, \d\d-\w{3}-\d\d [\d:]{8} GMT|\w{3} \w{3} [ \d]\d [\d:]{8} \d{4})$/;

// time is NaN, which is neither before nor after another, for what is no date of HTTP's.
function time(text) {
  return date.test(text ?? '') ? Date.parse(text.replace(/\d$/, '$& GMT')) : NaN;
}

// sendPart sends what Range asks for, if the page is the one that If-Range means. More parts than one are
// answered by all.
function sendPart(request, page, headers) {
  const [, range] = /^bytes=(.*)$/i.exec(request.headers.get('Range') ?? '') ?? [];
  if (range === undefined || range.includes(',') || !isMeant(request.headers, page)) {
    headers.set('Last-Modified', changed);
    headers.set('Accept-Ranges', 'bytes');
    return send(request, 200, page, withEtag(page, headers));
  }
  const body = bytes(page);
  const [from, to] = span(range, body.length);
  if (from >= to) {
    headers.set('Content-Range', `bytes */${body.length}`);
    return refuse(request, 416, headers);
  }
  headers.set('Last-Modified', changed);
  headers.set('Content-Range', `bytes ${from}-${to - 1}/${body.length}`);
  return sendBytes(request, 206, page.type, body.subarray(from, to), withEtag(page, headers));
}

// span is where a part begins and ends; nothing is left between if there is no such part.
function span(range, size) {
  const [, first, last] = /^(?=.*\d)(\d*)-(\d*)$/.exec(range.trim()) ?? [];
  if (first === undefined) return [0, 0];
  if (first === '') return [Math.max(size - Number(last), 0), size];
  return [Number(first), last === '' ? size : Math.min(Number(last) + 1, size)];
}

function isMeant(headers, page) {
  const meant = headers.get('If-Range');
  return !meant || meant === page.etag || time(meant) === time(changed);
}

// The words of nginx for those statuses for which others have other words, and those that have pages here.
export const reasons = {
  400: 'Bad Request',
  405: 'Not Allowed',
  412: 'Precondition Failed',
  416: 'Requested Range Not Satisfiable',
};

// refuse answers with nginx's own page for a status.
function refuse(request, status, headers = varying({})) {
  const line = `${status} ${reasons[status]}`;
  const text = [
    '<html>',
    `<head><title>${line}</title></head>`,
    '<body>',
    `<center><h1>${line}</h1></center>`,
    '<hr><center>nginx</center>',
    '</body>',
    '</html>',
    '',
  ].join('\r\n');
  return send(request, status, { type: 'text/html; charset=utf-8', text }, headers);
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
