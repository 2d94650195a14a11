// The servers of live pages as other people's libraries make them: one at a socket NAME.sock of the folder that is
// its argument for each library. What is said is drawn at random, how it is said is the library's.
import {createServer} from 'node:http'
import {mkdirSync} from 'node:fs'
import {WebSocketServer, createWebSocketStream} from 'ws'
import {Server as SocketIO} from 'socket.io'
import {buildSchema} from 'graphql'
import {useServer} from 'graphql-ws/use/ws'
import {Aedes} from 'aedes'
import {initTRPC} from '@trpc/server'
import {applyWSSHandler} from '@trpc/server/adapters/ws'
import {Hocuspocus} from '@hocuspocus/server'
import faye from 'faye'
import socketcluster from 'socketcluster-server'
import {logarithmic, sleep, soon, text} from './talk.js'

const folder = process.argv[2]

function listen(name, handler) {
  const server = createServer(handler ?? ((_, answer) => answer.end()))
  server.keepAliveTimeout = 60_000
  server.listen(`${folder}/${name}.sock`)
  return server
}

function sockets(name) {
  return new WebSocketServer({server: listen(name)})
}

// answer is what a server says when it is asked, and live are its news, which it tells by push until isOver.
async function answer({reply}) {
  await sleep(soon())
  return text(reply)
}

async function live(every, push, isOver) {
  for (;;) {
    await sleep(logarithmic(every / 10, every * 2))
    if (isOver()) return
    push(text(logarithmic(40, 1200)))
  }
}

const servers = {
  'socket.io'(name) {
    new SocketIO(listen(name), {path: `/real/${name}/`, cors: {origin: true}}).on('connection', socket => {
      socket.on('ask', async (question, done) => done(await answer(question)))
      socket.on('say', () => {})
      live(+socket.handshake.auth.every, news => socket.emit('news', {news}), () => socket.disconnected)
    })
  },
  'graphql-ws'(name) {
    const schema = buildSchema(`type Query { ask(text: String, reply: Int): String } type Mutation { say(text: String): Boolean }
      type Subscription { news(every: Int): String }`)
    async function* news({every}) {
      for (;;) {
        await sleep(logarithmic(every / 10, every * 2))
        yield {news: text(logarithmic(40, 1200))}
      }
    }
    useServer({schema, roots: {query: {ask: answer}, mutation: {say: () => true}, subscription: {news}}}, sockets(name))
  },
  async mqtt(name) {
    const broker = await Aedes.createBroker()
    broker.on('publish', async (packet, client) => {
      if (!client || packet.topic != `${client.id}/ask`) return
      const payload = await answer(JSON.parse(packet.payload))
      client.publish({topic: `${client.id}/reply`, payload, qos: 0}, () => {})
    })
    broker.on('subscribe', ([{topic}], client) => {
      const [, every] = topic.split('/news/')
      if (every) live(+every, payload => client.publish({topic, payload, qos: 0}, () => {}), () => client.closed)
    })
    sockets(name).on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request))
  },
  trpc(name) {
    const t = initTRPC.create()
    const input = t.procedure.input(x => x)
    const router = t.router({
      ask: input.query(({input}) => answer(input)),
      say: input.mutation(() => true),
      news: input.subscription(async function* ({input, signal}) {
        while (!signal.aborted) {
          await sleep(logarithmic(input.every / 10, input.every * 2))
          yield text(logarithmic(40, 1200))
        }
      }),
    })
    applyWSSHandler({wss: sockets(name), router})
  },
  hocuspocus(name) {
    const server = new Hocuspocus({
      quiet: true,
      async onLoadDocument({document}) { document.getText('all').insert(0, text(logarithmic(100, 20_000))) },
      async onStateless({connection, payload}) {
        connection.sendStateless(JSON.stringify({reply: await answer(JSON.parse(payload))}))
      },
      async connected({documentName, connection}) {
        const document = connection.document
        live(+documentName.split('/')[1], news => document.getText('all').insert(0, news.slice(0, 80)),
          () => document.getConnectionsCount() == 0)
      },
    })
    sockets(name).on('connection', (socket, request) => server.handleConnection(socket, request))
  },
  faye(name) {
    const bayeux = new faye.NodeAdapter({mount: `/real/${name}`, timeout: 45})
    const itself = bayeux.getClient()
    bayeux.on('publish', async (_, channel, data) => {
      if (channel.endsWith('/ask')) itself.publish(channel.replace('/ask', '/reply'), await answer(data))
    })
    bayeux.on('subscribe', (client, channel) => {
      const [, id, every] = channel.split('/')
      let over = false
      if (every != 'reply') live(+every, news => itself.publish(channel, {news}), () => over)
      bayeux.on('disconnect', gone => { over ||= gone == client })
    })
    bayeux.attach(listen(name))
  },
  async socketcluster(name) {
    const server = socketcluster.attach(listen(name), {path: `/real/${name}/`})
    for await (const {socket} of server.listener('connection')) {
      (async () => {
        for await (const request of socket.procedure('ask')) answer(request.data).then(reply => request.end(reply))
      })()
      ;(async () => {
        for await (const {every} of socket.receiver('begin')) {
          live(every, news => socket.transmit('news', {news}), () => socket.state != 'open')
        }
      })()
    }
  },
}

mkdirSync(folder, {recursive: true})
for (const [name, serve] of Object.entries(servers)) serve(name)
process.on('uncaughtException', error => console.error(error))
process.on('unhandledRejection', error => console.error(error))
