"""The AWS command line, loaded once: "preloaded.py SOCKET" serves live, which is
called as aws, until it is killed. Each command runs in a process of its own,
forked from this one, with the caller's arguments, environment, folder and files;
only the third of a second that Python takes to load all of it is saved."""

import json
import os
import signal
import socket
import sys

import awscli.clidriver

DATA = os.environ["AWS_DATA_PATH"]  # set when it was loaded

def command(asked, files):
    """Does what the aws command does, and gives its exit code."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(asked["environment"], AWS_DATA_PATH=DATA)
    os.chdir(asked["folder"])
    sys.argv = ["aws", *asked["arguments"]]
    try:
        code = awscli.clidriver.main()
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def serve(connection):
    """Runs one command: its length in 8 digits with the files, then JSON; the answer is one byte."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    text = b""
    while len(text) < int(head):
        text += connection.recv(1 << 16)
    connection.sendall(bytes([command(json.loads(text), files) & 255]))


def main(path):
    awscli.clidriver.create_clidriver()  # loads what plugins load
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + ".new")
    listener.listen(64)
    os.rename(path + ".new", path)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            serve(connection)
            os._exit(0)
        connection.close()


if __name__ == "__main__":
    main(sys.argv[1])
