"""A server of TLS that compresses its certificate, by tlslite-ng: packing.py CERT KEY ALGORITHM [LIE].

It listens at a port that it prints, says "hi" to each request, and prints by what each certificate was compressed. A lie makes
what it sends one that takes much memory to read, or cannot be read: "long" says that it is 16 MB, "window" has zstd want a window of
64 MB, "second" does so behind the certificate, "empty" has nothing in it.
"""
import socket
import sys
import threading

from tlslite import messages
from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey

# A frame of zstd without a checksum whose header asks for a window of 64 MB, with one block of a byte (RFC 8878, section 3.1.1).
LARGE = bytes.fromhex("28b52ffd0080") + bytes.fromhex("090000") + b"x"

cert, key, algorithm = sys.argv[1:4]
lie = sys.argv[4] if len(sys.argv) > 4 else ""


write = messages.CompressedCertificate.write
one_line = threading.Lock()


def say(*words):
    with one_line:
        print(*words, flush=True)


def note_and_write(self):
    say(algorithm)
    if lie == "long":
        self._uncompressed_msg_len = (1 << 24) - 1
    elif lie == "window":
        self._compressed_msg, self._uncompressed_msg_len = LARGE, 1
    elif lie == "second":
        self._compressed_msg += LARGE
    elif lie == "empty":
        self._compressed_msg = b""
    return write(self)


messages.CompressedCertificate.write = note_and_write


def serve(raw):
    raw.settimeout(20)
    connection = TLSConnection(raw)
    try:
        connection.handshakeServer(certChain=chain, privateKey=private, settings=settings, alpn=[b"http/1.1"])
        connection.recv(4096)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        connection.recv(4096)
        connection.close()
    except Exception as e:
        say("ended:", type(e).__name__)
    finally:
        raw.close()


settings = HandshakeSettings()
settings.certificate_compression_send = [algorithm]
chain = X509CertChain()
chain.parsePemList(open(cert).read())
private = parsePEMKey(open(key).read(), private=True, implementations=["python"])
listener = socket.create_server(("127.0.0.1", 0))
say(listener.getsockname()[1])
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
