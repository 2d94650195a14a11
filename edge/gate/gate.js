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
// All of it takes some 20 blocks of SHA-256, always as many, whatever comes. It reads no
// header: Upgrade and Connection are hidden from functions, and the origin looks at them.
import cf from 'cloudfront';
import crypto from 'crypto';

// The texts of the gate secrets, the current one first, as CloudFormation puts them here.
const secrets = readSecrets('GATE_SECRETS');

const site = 'origin'; // the id of the distribution's origin that shows the website

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
  const isOne = cookie !== undefined && !(cookie.multiValue && cookie.multiValue.length > 1);
  return opens(isOne ? cookie.value : '', secrets, crypto);
}
