"""The release binary as its user meets it: an empty folder, an empty home, no question asked.

usage: smoke.py BINARY
"""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

START_DEADLINE_S = 30
ANSWER_DEADLINE_S = 10
STOP_DEADLINE_S = 5


class Server:
    """A server process in `folder`; every line of its standard error is added to `log`.

    `before` is what the command line begins with: a program that becomes the server.
    """

    def __init__(self, binary, folder, log, before=()):
        self.port = None
        self._log = log
        self._started = threading.Event()
        self._process = subprocess.Popen(
            [*before, binary],
            cwd=folder,
            env={"HOME": str(folder.parent / "home"), "PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    @property
    def pid(self):
        return self._process.pid

    def _read_log(self):
        for line in self._process.stderr:
            self._log.append(line)
            if line.startswith("listening on "):
                self.port = int(line.rsplit(":", 1)[1])
                self._started.set()
        self._started.set()  # it ended, so that who waits for a port learns of it

    def __enter__(self):
        if not self._started.wait(START_DEADLINE_S) or self.port is None:
            self.__exit__()
            raise AssertionError("the server does not start")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def stop(self):
        """SIGTERM, as systemd and `kill` send it: the exit code is 0, in time."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(STOP_DEADLINE_S)
        assert code == 0, f"exit code {code} after SIGTERM"

    def kill(self):
        """SIGKILL: no chance to write anything down."""
        self._process.kill()
        self._process.wait()


class Client:
    """Speaks JSON lines, and trusts the certificate that the server made."""

    def __init__(self, server, tls):
        raw = socket.create_connection(("127.0.0.1", server.port), ANSWER_DEADLINE_S)
        # An end of stream without close_notify raises instead of looking like an orderly one.
        stream = tls.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
        # Two, for writing to a text file drops what was read ahead of it.
        self._stream = stream.makefile("r", encoding="utf-8", newline="\n")
        self._requests = stream.makefile("w", encoding="utf-8", newline="\n")
        self.events = []

    def ask(self, command, **fields):
        """Gives the response to a request, which must be 200; events before it are skipped."""
        packet = self.try_ask(command, **fields)
        assert packet["status"] == 200, packet
        return packet

    def try_ask(self, command, **fields):
        """As `ask`, whatever the status is. Events go to `events`."""
        json.dump({"command": command, "label": command, **fields}, self._requests)
        print(file=self._requests, flush=True)
        for line in self._stream:
            packet = json.loads(line)
            if packet.get("label") == command:
                return packet
            self.events.append(packet)
        raise AssertionError(f"closed before {command} was answered")

    def wait_for_event(self, command):
        while not any(event["command"] == command for event in self.events):
            self.events.append(json.loads(self._stream.readline()))

    def read_to_end(self):
        for line in self._stream:
            self.events.append(json.loads(line))


def get(server, tls, path):
    connection = http.client.HTTPSConnection(
        "127.0.0.1", server.port, timeout=ANSWER_DEADLINE_S, context=tls
    )
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200, f"GET {path}: {answer.status}"
    return answer.read().decode()


def smoke(binary, folder, log):
    with Server(binary, folder, log) as server:
        tls = ssl.create_default_context(cafile=folder / "cert.pem")
        assert (folder / "key.pem").stat().st_mode & 0o077 == 0, "others may read key.pem"
        (script,) = re.findall(r'<script type="module" src="([^"]+)"', get(server, tls, "/"))
        assert "import" in get(server, tls, script), "the web client's script is none"
        assert json.loads(get(server, tls, "/health")) == {"status": "ok"}
        alice = Client(server, tls)
        alice.ask("register", uname="alice", passwd="wonderland")
        (general,) = alice.ask("list_channels")["data"]
        sent = alice.ask("send", channel=general["uuid"], content="hello")["message"]
        server.kill()

    # The same context: the second start has to have kept the certificate.
    with Server(binary, folder, log) as server:
        alice = Client(server, tls)
        alice.ask("login", uname="alice", passwd="wonderland")
        (message,) = alice.ask("history", channel=general["uuid"], num=10)["data"]
        assert (message["uuid"], message["content"]) == (sent, "hello"), message
        server.stop()
        alice.read_to_end()

    assert not list((folder.parent / "home").iterdir()), "something was left in the home"


@contextmanager
def empty_folder(log):
    """A folder for a server, with an empty home beside it; prints the log if the test fails."""
    with tempfile.TemporaryDirectory(prefix="aster server ") as parent:
        for name in ("home", "server"):
            Path(parent, name).mkdir()
        try:
            yield Path(parent, "server")
            assert not any("panic" in line for line in log), "the server panicked"
        except BaseException:
            sys.stderr.writelines(["the server's log:\n", *log])
            raise


def main():
    log = []
    with empty_folder(log) as folder:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 2345)) == 0:
                print("smoke: port 2345 is taken on this machine, so a config.json asks for another")
                (folder / "config.json").write_text('{"port": 0}')
        smoke(str(Path(sys.argv[1]).resolve()), folder, log)
    print("smoke: ok")


if __name__ == "__main__":
    main()
