// talk.mjs FOLDER SAVED PROXY has Baileys, which is in FOLDER, log in to WhatsApp by a proxy and ask something. SAVED is what
// "local run --save" leaves of its stand-in, whose key signs what Baileys asks of WhatsApp's. It prints "answered".
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const [folder, saved, proxy] = process.argv.slice(2);
const require = createRequire(join(folder, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: makeWASocket, initAuthCreds, WA_CERT_DETAILS } = await load('baileys');
const { HttpsProxyAgent } = await load('https-proxy-agent');
const { SocksProxyAgent } = await load('socks-proxy-agent');

const patience = setTimeout(() => fail('no answer in 30 s'), 30_000);
function fail(why) {
  console.log(`failed: ${why}`);
  process.exit(1);
}

WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(readFileSync(join(saved, 'chat-root'), 'utf8').trim(), 'hex');

let loggedIn;
const handshake = new Promise((done) => (loggedIn = done));
const ignore = () => {};
const logger = {
  level: 'trace',
  child: () => logger,
  trace: (...said) => said.at(-1) === 'Noise handler transitioned to Transport state' && loggedIn(),
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: (...said) => console.error(...said),
};
const sock = makeWASocket({
  auth: { creds: initAuthCreds(), keys: { get: async () => ({}), set: async () => {} } },
  agent: proxy.startsWith('socks') ? new SocksProxyAgent(proxy) : new HttpsProxyAgent(proxy),
  logger,
});
sock.ev.on('connection.update', ({ connection, lastDisconnect }) => connection === 'close' && fail(lastDisconnect?.error));

await handshake;
const ping = { tag: 'iq', attrs: { id: sock.generateMessageTag(), to: '@s.whatsapp.net', type: 'get', xmlns: 'w:p' }, content: [{ tag: 'ping', attrs: {} }] };
const answer = await sock.query(ping); // the stand-in sends back what it is sent
if (answer.attrs.id !== ping.attrs.id || answer.content[0].tag !== 'ping') fail('another answer');
clearTimeout(patience);
console.log('answered');
process.exit(0);
