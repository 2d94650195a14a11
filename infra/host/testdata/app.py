"""app.py PORT connects as the app does to the client that listens there, and passes on a line of
its input at a time. It says "answered" when the line came back, "cut" when the connection ended."""
import socket, sys

app = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=20)
for line in sys.stdin.buffer:
    try:
        app.sendall(line)
        seen = b""
        while seen != line:
            more = app.recv(4096)
            if not more:
                raise ConnectionError
            seen += more
        print("answered", flush=True)
    except OSError:
        sys.exit("cut")
