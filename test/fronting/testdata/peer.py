"""Meets the stream door with another implementation of WebSockets.

peer.py URL COOKIE [long] prints a line for each claim and ends with 0 if all hold.
"""

import asyncio
import contextlib
import ssl
import struct
import sys
import time
import urllib.parse

import websockets

URL, COOKIE = sys.argv[1:3]
LONG = sys.argv[3:] == ["long"]
PLACE = urllib.parse.urlsplit(URL)
TLS = ssl.create_default_context() if PLACE.scheme == "wss" else None
if TLS:
    TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE

PING, PONG, DATA = 8, 9, 3  # kinds of frames, from PROTOCOL.md
SOON = 20  # seconds, on a busy machine


def frame(kind, seq=0, tunnel=0, payload=b""):
    """A frame of Culvert's protocol: a header of 32 bytes, then the payload."""
    return struct.pack(">BxHQQQI", kind, len(payload), tunnel, seq, 0, 0) + payload


def connect(**more):
    return websockets.connect(URL, ssl=TLS, extra_headers={"Cookie": COOKIE}, max_size=None, **more)


async def answered(ws, seq=77):
    """The socket is alive: it answers a Ping of the protocol."""
    await ws.send(frame(PING, seq))
    while True:
        message = await asyncio.wait_for(ws.recv(), SOON)
        while message:
            kind, length, tunnel, got = struct.unpack(">BxHQQ", message[:20])
            message = message[32 + length :]
            if kind == PONG and tunnel == 0 and got == seq:
                return


async def refused(send):
    """What is sent ends the socket, and no other socket suffers."""
    async with connect() as beside:
        ws = await connect()
        try:
            with contextlib.suppress(websockets.ConnectionClosed):
                await send(ws)
                while True:
                    await asyncio.wait_for(ws.recv(), SOON)  # raises when closed
        finally:
            ws.fail_connection()
        await answered(beside)
        return "closed with code %s" % ws.close_code


async def protocol_ping():
    async with connect() as ws:
        await answered(ws)


async def websocket_ping():
    async with connect(ping_interval=None) as ws:
        await asyncio.wait_for(await ws.ping(b"hello"), SOON)


async def in_pieces():
    async with connect() as ws:  # one message in fragments of one byte
        await ws.send(iter([bytes([b]) for b in frame(PING, 5)]))
        await answered(ws)


async def no_compression():
    async with connect(compression="deflate") as ws:
        assert "Sec-WebSocket-Extensions" not in ws.response_headers, "an extension was agreed on"
        await answered(ws)


async def closes():
    ws = await connect()
    await asyncio.wait_for(ws.close(), SOON)
    return "close code %s" % ws.close_code


async def upgrade_cut(head, limit):
    """A request that never becomes one is cut."""
    reader, writer = await asyncio.open_connection(PLACE.hostname, PLACE.port, ssl=TLS)
    begin = time.monotonic()
    writer.write(head)
    try:
        await asyncio.wait_for(reader.read(), limit)  # to its end
    except (ConnectionResetError, ssl.SSLError):
        pass
    writer.close()
    return "after %.1f s" % (time.monotonic() - begin)


HEAD = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" % PLACE.netloc.encode()

CLAIMS = {
    "a Ping of the protocol is answered": protocol_ping,
    "a ping of WebSockets is answered": websocket_ping,
    "a message may come in pieces": in_pieces,
    "no compression is agreed on": no_compression,
    "a close is answered": closes,
    "a text message is refused": lambda: refused(lambda ws: ws.send("hello")),
    "garbage is refused": lambda: refused(lambda ws: ws.send(b"\xff" * 100)),
    "half a header is refused": lambda: refused(lambda ws: ws.send(frame(PING)[:20])),
    "half a payload is refused": lambda: refused(lambda ws: ws.send(frame(DATA, 0, 9, b"x" * 100)[:-1])),
    "a huge message is refused": lambda: refused(lambda ws: ws.send(b"\x03" * (8 << 20))),
    "a huge message of good frames is refused": lambda: refused(lambda ws: ws.send(frame(PING) * 5000)),
}
if LONG:
    CLAIMS |= {
        "an upgrade without its end is cut": lambda: upgrade_cut(HEAD, 20),
        "half a line is cut": lambda: upgrade_cut(HEAD[:20], 20),
        "silence is cut": lambda: upgrade_cut(b"", 20),
    }


async def main():
    failed = 0

    async def hold(claim, test):
        nonlocal failed
        try:
            print("ok: %s: %s" % (claim, await test() or "yes"))
        except Exception as e:
            failed += 1
            print("FAILED: %s: %r" % (claim, e))

    await asyncio.gather(*(hold(*c) for c in CLAIMS.items()))
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
