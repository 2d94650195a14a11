"""A WebSocket client that shares no code with the emulator: does what API
Gateway allows, then what it does not, and prints how that ends."""

import asyncio
import sys

import websockets

FRAME = 32 * 1024


async def close_code(url, message):
    async with websockets.connect(url, max_size=None) as ws:
        await ws.send(message)
        try:
            while True:
                await asyncio.wait_for(ws.recv(), 10)
        except websockets.ConnectionClosed as e:
            return e.rcvd.code if e.rcvd else None


async def echoed(url, message):
    async with websockets.connect(url, max_size=None) as ws:
        await ws.send(message)
        got = await asyncio.wait_for(ws.recv(), 10)
        await asyncio.wait_for(await ws.ping(), 10)
        return isinstance(got, str) and got == ("".join(message) if isinstance(message, list) else message)


async def main(url):
    full = "x" * FRAME
    print("a full frame", await echoed(url, full))
    print("a full message", await echoed(url, [full[:-1] + "y", full, full, full[:-1] + "z"]))
    print("a frame too large", await close_code(url, full + "x"))
    print("a message too large", await close_code(url, [full, full, full, full, "x"]))
    print("binary", await close_code(url, b"x"))
    print("binary in frames", await close_code(url, [b"x", b"y"]))


asyncio.run(main(sys.argv[1]))
