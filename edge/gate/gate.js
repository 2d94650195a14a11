// The gate in front of everything that a distribution serves: a CloudFront
// Function (runtime cloudfront-js-2.0) on viewer requests.
//
// A request whose cookie "session" holds a valid, fresh token goes where the
// distribution's behaviours send it: to the origin's stream door, or on /v1 to
// API Gateway. Both verify the token themselves. Every other request becomes a
// plain visit to the origin's website: without cookies and query it opens no
// door, and the origin answers it as it answers every stranger, so that one
// refusal looks like another, on /v1 as on a path that does not exist. Nothing
// here depends on the path: CloudFront matches "/%761" with /v1, too.
//
// What strangers can cost: the behaviours allow GET and HEAD alone, so that no
// body comes in; an answer is a page of a few kB from the origin's memory; and
// what reaches the origin without a token is never logged or kept.
//
// All of it takes some 20 blocks of SHA-256 at most. It reads no header: Upgrade
// and Connection are hidden from functions, and the origin looks at them.
import cf from 'cloudfront';
import crypto from 'crypto';

// The texts of the gate secrets, the current one first, as CloudFormation puts
// them here. Whatever is not the text of a secret opens nothing.
const secrets = 'GATE_SECRETS'.split(' ').filter(text => text.length === 64 && !/[^A-Za-z0-9]/.test(text));

const site = 'origin'; // the id of the distribution's origin that shows the website
const tokenLife = 300 * 1000; // ms: TokenLife of internal/wire

function handler(event) {
  const request = event.request;
  if (!admits(request.cookies.session)) {
    request.cookies = {};
    request.querystring = {};
    cf.selectRequestOriginById(site);
  }
  return request;
}

// admits wants exactly one cookie: of two, the origin might read the other.
function admits(cookie) {
  return cookie !== undefined && !(cookie.multiValue && cookie.multiValue.length > 1) &&
    isToken(cookie.value) && isGood(Buffer.from(cookie.value, 'base64url'));
}

// isToken does without /^...$/: this runtime's $ also matches before a last line end.
function isToken(text) {
  return text.length === 68 && !/[^A-Za-z0-9_-]/.test(text);
}

// isGood does what Admit of internal/wire does; the layout is in token.go. The last 16 bytes
// prove to the origin that the user has made the token; only the origin can tell, so that
// whoever takes this gate over makes nothing that the origin believes.
function isGood(raw) {
  const age = Math.abs(Date.now() - raw.readUInt32BE(5) * 1000);
  return raw[0] === 2 && age <= tokenLife && secrets.some(text => isSigned(raw, text));
}

function isSigned(raw, text) {
  const gateKey = crypto.createHash('sha256').update('culvert gate secret ' + text).digest();
  const tokenKey = crypto.createHmac('sha256', gateKey).update('culvert token').update(raw.subarray(1, 5)).digest();
  const mac = crypto.createHmac('sha256', tokenKey.subarray(0, 16)).update(raw.subarray(0, 19)).digest();
  return isEqual(mac.subarray(0, 16), raw.subarray(19, 35));
}

// isEqual takes the same time wherever two texts of one length differ.
function isEqual(a, b) {
  let differences = 0;
  for (let i = 0; i < b.length; i++) differences |= a[i] ^ b[i];
  return differences === 0;
}
