// The pages' end of server.js: what a page says once it has loaded, and what its user does then.
import {logarithmic, sleep, soon, text} from './talk.js'

// Each loads its library, connects to a server, and has what the page says to it: ask, which is answered, and say.
const clients = {
  async 'socket.io'(host, id, every) {
    const {io} = await import('socket.io-client')
    const socket = io(`https://${host}`, {path: '/real/socket.io/', auth: {every, token: text(logarithmic(20, 300))}})
    await new Promise(done => socket.on('connect', done))
    return {ask: q => socket.emitWithAck('ask', q), say: said => socket.emit('say', said)}
  },
  async 'graphql-ws'(host, id, every) {
    const {createClient} = await import('graphql-ws')
    const client = createClient({url: `wss://${host}/real/graphql-ws/`, connectionParams: {token: text(logarithmic(20, 300))}})
    const run = (query, variables) => new Promise((done, failed) => {
      let data
      client.subscribe({query, variables}, {next: x => { data = x }, error: failed, complete: () => done(data)})
    })
    run('subscription News($every: Int) { news(every: $every) }', {every})
    return {
      ask: q => run('query Ask($text: String, $reply: Int) { ask(text: $text, reply: $reply) }', q),
      say: said => run('mutation Say($text: String) { say(text: $text) }', said),
    }
  },
  async mqtt(host, id, every) {
    const {default: mqtt} = await import('mqtt')
    const client = await mqtt.connectAsync(`wss://${host}/real/mqtt/`, {clientId: id, username: 'someone', password: text(logarithmic(10, 80))})
    const waiting = []
    client.on('message', topic => { if (topic == `${id}/reply`) waiting.shift()?.() })
    await client.subscribeAsync([`${id}/reply`])
    client.subscribe(`${id}/news/${every}`)
    return {
      ask: q => new Promise(done => { waiting.push(done); client.publish(`${id}/ask`, JSON.stringify(q)) }),
      say: said => client.publish(`${id}/said`, JSON.stringify(said), {qos: 1}),
    }
  },
  async trpc(host, id, every) {
    const {createTRPCClient, createWSClient, wsLink} = await import('@trpc/client')
    const client = createTRPCClient({links: [wsLink({client: createWSClient({url: `wss://${host}/real/trpc/`})})]})
    client.news.subscribe({every}, {})
    return {ask: q => client.ask.query(q), say: said => client.say.mutate(said)}
  },
  async hocuspocus(host, id, every) {
    const {HocuspocusProvider} = await import('@hocuspocus/provider')
    const provider = new HocuspocusProvider({url: `wss://${host}/real/hocuspocus/`, name: `${id}/${every}`})
    provider.setAwarenessField('user', {name: id, color: '#ff8800'})
    await new Promise(done => provider.on('synced', done))
    const waiting = []
    provider.on('stateless', () => waiting.shift()?.())
    return {
      ask: q => new Promise(done => { waiting.push(done); provider.sendStateless(JSON.stringify(q)) }),
      say: ({text}) => provider.document.getText('all').insert(0, text.slice(0, 60)),
    }
  },
  async faye(host, id, every) {
    const {default: faye} = await import('faye/src/faye_browser.js')
    const client = new faye.Client(`https://${host}/real/faye`)
    const waiting = []
    client.subscribe(`/${id}/reply`, () => waiting.shift()?.())
    await client.subscribe(`/${id}/${every}`, () => {})
    return {
      ask: q => new Promise(done => { waiting.push(done); client.publish(`/${id}/ask`, q) }),
      say: said => client.publish(`/${id}/said`, said),
    }
  },
  async socketcluster(host, id, every) {
    const {default: socketcluster} = await import('socketcluster-client')
    const [hostname, port] = host.split(':')
    const socket = socketcluster.create({hostname, port, path: '/real/socketcluster/', secure: true})
    await socket.listener('connect').once()
    socket.transmit('begin', {every})
    return {ask: q => socket.invoke('ask', q), say: said => socket.transmit('say', said)}
  },
}

// The numbers of a site are the same in each of its sessions.
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

// real is a session at a site of one of the libraries: a page asks for what it shows, its user reads and writes.
export async function real(name, host, site) {
  const once = numbers(site * 7919 + 17)
  for (let i = 0; i < 5; i++) once()
  const every = logarithmic(300, 6000, once)
  const page = await clients[name](host, crypto.randomUUID().slice(0, 8), every)
  const asks = Array.from({length: Math.floor(once() * 8)}, () =>
    ({size: logarithmic(5, 300, once), reply: logarithmic(20, 6000, once), together: once() < 0.5}))
  let together = []
  for (const {size, reply, together: isTogether} of asks) {
    const asked = page.ask({text: text(size), reply: logarithmic(reply, reply * 1.3)})
    together.push(asked)
    if (isTogether) continue
    await Promise.all(together)
    together = []
    await sleep(soon())
  }
  await Promise.all(together)
  for (;;) {
    await sleep(logarithmic(300, 4000))
    if (Math.random() < 0.5) page.say({typing: true, text: ''})
    await sleep(logarithmic(100, 3000))
    if (Math.random() < 0.5) page.say({text: text(logarithmic(10, 700))})
    else await page.ask({text: text(logarithmic(10, 700)), reply: logarithmic(20, 200)})
  }
}
