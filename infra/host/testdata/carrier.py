"""carrier.py SECRET opens a carrier at the stream door with a token of user 7 by a gate secret and
says "open"; pings when a line comes in, and says "answered" when the answer does."""
import base64, hashlib, hmac, os, socket, struct, sys, time

sign = lambda key, data: hmac.new(key, data, hashlib.sha256).digest()[:16]
gate = hashlib.sha256(b"culvert gate secret " + sys.argv[1].encode()).digest()
user = struct.pack(">I", 7)
raw = b"\x01" + user + struct.pack(">I", int(time.time())) + os.urandom(8)
token = base64.urlsafe_b64encode(raw + sign(sign(gate, b"culvert token" + user), raw)).decode()

carrier = socket.create_connection(("127.0.0.1", 8080), timeout=10)
carrier.sendall((
    "GET / HTTP/1.1\r\nHost: check\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nCookie: session={token}\r\n\r\n").encode())
answer = carrier.recv(4096)
print("open" if answer.startswith(b"HTTP/1.1 101") else answer, flush=True)
for line in sys.stdin:
    ping = b"culvert" + os.urandom(4)
    mask = os.urandom(4)
    carrier.sendall(bytes([0x89, 0x80 | len(ping)]) + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(ping)))
    seen = b""
    while ping not in seen:
        more = carrier.recv(4096)
        if not more:
            sys.exit("cut")
        seen += more
    print("answered", flush=True)
