"""Meets the stream door with another implementation of WebSockets.

peer.py URL COOKIES [long] prints a line for each claim and ends with 0 if all hold. COOKIES
has one in each line, as an origin takes each token once.
"""

import asyncio
import contextlib
import os
import ssl
import struct
import sys
import time
import urllib.parse

import websockets

URL, COOKIES = sys.argv[1], sys.argv[2].split("\n")
LONG = sys.argv[3:] == ["long"]
PLACE = urllib.parse.urlsplit(URL)
TLS = ssl.create_default_context() if PLACE.scheme == "wss" else None
if TLS:
    TLS.check_hostname, TLS.verify_mode = False, ssl.CERT_NONE

CHALLENGE, JOIN, UNKNOWN, FILL = 1, 2, 6, 7  # plain messages, from PROTOCOL.md
SOON = 20  # seconds, on a busy machine


def join():
    """Names a generation that the origin does not know: it says so."""
    return struct.pack(">H8sI16s", JOIN, os.urandom(8), 1, os.urandom(16))


def connect(**more):
    return websockets.connect(URL, ssl=TLS, extra_headers={"Cookie": COOKIES.pop()}, max_size=None, **more)


def plain(message):
    """Has the plain messages in one of WebSockets, by number; what a Fill says follows it is skipped. Fills may repeat."""
    said = {}
    while message:
        number = struct.unpack(">H", message[:2])[0]
        length = {CHALLENGE: 16, UNKNOWN: 0, FILL: 1}[number]
        if number == FILL:
            assert message[2] <= 100, message
            length += message[2]
        assert len(message) >= 2 + length and (number == FILL or number not in said), message
        said[number], message = message[2 : 2 + length], message[2 + length :]
    return said


async def challenged(ws):
    """The origin speaks first, soon or after a while."""
    said = plain(await asyncio.wait_for(ws.recv(), SOON))
    assert set(said) <= {CHALLENGE, FILL}, said
    return said[CHALLENGE]


async def answered(ws, message=None):
    """The socket is alive: it answers a Join of the protocol."""
    await ws.send(message or join())
    while UNKNOWN not in plain(await asyncio.wait_for(ws.recv(), SOON)):
        pass


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


async def protocol_join():
    async with connect() as one, connect() as other:
        assert await challenged(one) != await challenged(other), "a challenge came twice"
        await answered(one)


async def websocket_ping():
    async with connect(ping_interval=None) as ws:
        await asyncio.wait_for(await ws.ping(b"hello"), SOON)


async def in_pieces():
    async with connect() as ws:  # one message in fragments of one byte
        await answered(ws, iter([bytes([b]) for b in join()]))


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
    "a Join of the protocol is answered": protocol_join,
    "a ping of WebSockets is answered": websocket_ping,
    "a message may come in pieces": in_pieces,
    "no compression is agreed on": no_compression,
    "a close is answered": closes,
    "a text message is refused": lambda: refused(lambda ws: ws.send("hello")),
    "garbage is refused": lambda: refused(lambda ws: ws.send(b"\xff" * 100)),
    "half a Join is refused": lambda: refused(lambda ws: ws.send(join()[:20])),
    "half a record is refused": lambda: refused(lambda ws: ws.send(struct.pack(">H", 100) + b"x" * 99)),
    "a huge message is refused": lambda: refused(lambda ws: ws.send(b"\x03" * (8 << 20))),
    "a huge message of good Joins is refused": lambda: refused(lambda ws: ws.send(join() * 5000)),
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
