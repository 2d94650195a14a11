// The edge as a Cloudflare Worker. Its settings come as bindings.
//
// The origin's answer 101 is handed on as it came, with the socket in it: the runtime copies the
// messages between both ends by itself, waits for whoever is slow, and ends one end when the other
// ends. No code runs for a message.
import { readSettings, visit } from './edge.js';

export default {
  fetch: (request, env) => visit(request, settingsOf(env)),
};

const known = new WeakMap();

function settingsOf(env) {
  if (!known.has(env)) known.set(env, readSettings(env));
  return known.get(env);
}
