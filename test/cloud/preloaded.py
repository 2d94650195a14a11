"""The AWS command line, loaded once: "preloaded.py SOCKET" serves live, which is
called as aws, until it is killed. Each command runs in a process of its own,
forked from this one, with the caller's arguments, environment, folder and files;
only the second or two of a processor that Python takes to load all of it is saved."""

import gc
import json
import os
import signal
import socket
import sys

import awscli.clidriver

DATA = os.environ["AWS_DATA_PATH"]  # set when it was loaded

# What is asked for most often: to read the description of a service takes longer than all else.
SERVICES = ["sts", "ec2", "cloudformation", "s3", "ssm", "secretsmanager", "lambda", "logs", "cloudfront", "service-quotas", "cloudwatch"]

driver = awscli.clidriver.create_clidriver()


def load():
    """Loads what commands need, none of which depends on the environment."""
    driver._get_command_table()
    driver._get_argument_table()
    for service in SERVICES:
        driver.session.create_client(service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
    gc.collect()
    gc.freeze()  # what is shared stays shared


def command(asked, files):
    """Does what the aws command does, and gives its exit code."""
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(asked["environment"], AWS_DATA_PATH=DATA)
    os.chdir(asked["folder"])
    sys.argv = ["aws", *asked["arguments"]]
    try:
        code = driver.main()
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
    load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path + ".new")
    os.chmod(path + ".new", 0o666)
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
