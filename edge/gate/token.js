// The rules of the gate, once for all edges that run JavaScript: gate.go puts this file behind
// gate.js, which is CloudFront's function, and edge/worker imports it. It does what ParseToken and
// Admit of internal/wire do; the layout of a token is in token.go there. crypto is the runtime's own:
// CloudFront, workerd, Deno and node have createHash and createHmac, and Buffer, alike.

const tokenLife = 300 * 1000; // ms: TokenLife of internal/wire
const tokenLength = 68; // TokenLen
const maxAhead = 1600; // MaxAhead bytes, as base64url
const none = 'A'.repeat(tokenLength); // in the place of what is no token: one that no secret has signed

// readSecrets reads the texts of gate secrets, the current one first, with spaces between. What
// is not the text of a secret opens nothing.
export function readSecrets(texts) {
  return texts.split(' ').filter((text) => text.length === 64 && !/[^A-Za-z0-9]/.test(text));
}

// opens says whether the value of the cookie "session" holds a valid, fresh token. The first message
// of a carrier may come behind the token: the origin alone reads it. It does the same work for every
// value, also for none, so that its time tells nobody why one is refused.
export function opens(value, secrets, crypto) {
  const isToken = isText(value);
  const isSound = isGood(Buffer.from(isToken ? value.slice(0, tokenLength) : none, 'base64url'), secrets, crypto);
  return isToken && isSound;
}

// isText does without /^...$/: in CloudFront's runtime $ also matches before a last line end.
function isText(value) {
  return value.length >= tokenLength && value.length <= tokenLength + maxAhead && !/[^A-Za-z0-9_-]/.test(value);
}

// isGood does not look at the last 16 bytes, which prove to the origin that the user has made the
// token; only the origin can tell, so that whoever takes this gate over makes nothing that the
// origin believes.
function isGood(raw, secrets, crypto) {
  const age = Math.abs(Date.now() - raw.readUInt32BE(5) * 1000);
  const signed = secrets.filter((text) => isSigned(raw, text, crypto));
  return signed.length > 0 && raw[0] === 2 && age <= tokenLife;
}

function isSigned(raw, text, crypto) {
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
