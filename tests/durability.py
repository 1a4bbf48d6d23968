"""That an answer comes after the sync to disk, and what becomes of writes that fail.

usage: durability.py BINARY

Three parts, each by the release binary:

- strace shows, for each of 20 messages, that the read of the request comes before the writes to
  the write-ahead log, these before a completed fsync of it, and that before the answer;
- strace makes syncs and writes fail: whatever is answered 200, and nothing else, is told to others
  and is there, also after a kill;
- a real full disk, a small one in memory: 500, logged with its cause and not too often; reading
  works; sending works again once there is room.

The first two need strace, the third a mount of its own; where the machine allows neither, that is
said, and the part left out.
"""

import re
import ssl
import subprocess
import sys
import time
from pathlib import Path

from smoke import Client, Server, empty_folder, get

MESSAGES = 20
# A message that fills many pages of the database, and the limit that lets it pass.
LONG = "x" * 100_000
CONFIG = '{"addr": "127.0.0.1", "port": 0, "limits": {"max_message_bytes": 100000}}'
# As in src/log.rs.
FAULTS_LOGGED_MAX = 5


def can(*command):
    """Whether this machine lets us run a command that does nothing."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Place:
    """A folder that has seen a first start, with the members alice and bob."""

    def __init__(self, binary, folder, log):
        self.binary, self.folder, self.log = binary, folder, log
        (folder / "config.json").write_text(CONFIG)
        with self.server() as server:
            self.tls = ssl.create_default_context(cafile=folder / "cert.pem")
            alice = self.connect(server)
            alice.ask("register", uname="alice", passwd="wonderland")
            self.connect(server).ask("register", uname="bob", passwd="wonderland")
            self.general = alice.ask("list_channels")["data"][0]["uuid"]
            server.stop()
        self.database = folder / "aster.db"
        self.wal = folder / "aster.db-wal"

    def server(self, *before):
        del self.log[:]
        return Server(self.binary, self.folder, self.log, before)

    def strace(self, *options):
        """A server that strace looks at, from a process of its own: so a kill meets the server."""
        return self.server("strace", "-D", "-f", "-qq", "-yy", *map(str, options))

    def connect(self, server):
        return Client(server, self.tls)

    def login(self, server, name="alice"):
        client = self.connect(server)
        client.ask("login", uname=name, passwd="wonderland")
        return client

    def send(self, client, content, **fields):
        return client.try_ask("send", channel=self.general, content=content, **fields)

    def history(self, client):
        """The uuids of the newest 500 messages, oldest first."""
        data = client.ask("history", channel=self.general, num=500)["data"]
        return [message["uuid"] for message in data]


def told(client):
    """The uuids of the messages that a client was told of, once all has come."""
    client.ask("leave")
    client.read_to_end()
    return [event["uuid"] for event in client.events if event["command"] == "content"]


# --- The sync comes before the answer.


def calls(trace):
    """The beginnings and the ends of the system calls, in order: (is_end, name, text, result)."""
    begun = {}
    for line in trace.read_text(errors="replace").splitlines():
        thread, text = line.split(maxsplit=1)
        if text.startswith(("---", "+++")):
            continue
        if resumed := re.match(r"<\.\.\. (\w+) resumed>", text):
            name, head = begun.pop(thread, (resumed[1], ""))
        else:
            name, head = text.split("(")[0], text
            yield False, name, head, None
        if text.endswith("<unfinished ...>"):
            begun[thread] = (name, head)
        else:
            yield True, name, head, re.search(r"= (-?\d+|\?)[^=]*$", text)[1]


def requests(trace):
    """What happened from each read of something from the client to the next such read."""
    request = None
    for is_end, name, text, result in calls(trace):
        # Not the end of the stream (0), nor a call that a signal interrupted (?).
        is_read = is_end and result.isdigit() and result != "0"
        if name == "recvfrom" and "<TCP" in text and is_read:
            if request is not None:
                yield request
            request = []
        elif request is not None:
            request.append((is_end, name, text, result))
    yield request


def check_order(request, wal):
    """One request: written, then synced, then answered."""
    written = synced = answered = False
    for is_end, name, text, result in request:
        if name in ("sendto", "sendmsg") and "<TCP" in text and not is_end:
            assert written, "answered before anything was written"
            assert synced, "answered before the write-ahead log was synced"
            answered = True
        elif f"<{wal}>" in text and is_end:
            if name == "pwrite64":
                assert int(result) > 0, text
                written, synced = True, False
            elif name in ("fsync", "fdatasync"):
                synced = written and result == "0"
    assert answered, "not answered"


def sync_before_answer(place):
    trace = place.folder.parent / "trace"
    traced = "trace=recvfrom,sendto,sendmsg,pwrite64,fsync,fdatasync,openat"
    with place.strace("-e", traced, "-o", trace) as server:
        alice = place.login(server)
        # It comes when the server finds time, and is not to come between other things.
        alice.wait_for_event("online")
        alice.events.clear()
        for number in range(MESSAGES):
            assert place.send(alice, f"number {number}")["status"] == 200
            # Its own event too, so that nothing of this message comes after the next request.
            alice.wait_for_event("content")
            alice.events.clear()
        server.stop()
        alice.read_to_end()
    # Nothing is sent after them.
    last = list(requests(trace))[-MESSAGES:]
    for request in last:
        check_order(request, place.wal)
    # The log is a new file at each start: its name has to be on disk, too.
    lines = trace.read_text(errors="replace")
    made = lines.index(f'"{place.wal}", O_RDWR|O_CREAT')
    folder = re.search(rf"fsync\(\d+<{re.escape(str(place.folder))}>\) += 0", lines[made:])
    assert folder, "the folder of the new write-ahead log was not synced"
    print(f"durability: each of {MESSAGES} messages was synced to disk before its answer")


# --- Writes that fail.

# What fails of the write-ahead log, when (as strace's --inject has it), and what the log says. The
# first calls of the writer's thread succeed, so that there is something to keep.
FAULTS = [
    ("fsync", "error=EIO:when=3+4", "disk I/O error"),
    ("pwrite64", "error=ENOSPC:when=30+41", "database or disk is full"),
    ("pwrite64", "error=EIO:when=30+37", "disk I/O error"),
    ("pwrite64", "error=EDQUOT:when=30+37", "disk I/O error"),
]


def failing(place, call, how, *files):
    paths = [word for file in files for word in ("-P", place.database.with_name(file))]
    return place.strace(*paths, "-e", f"trace={call}", "-e", f"inject={call}:{how}", "-o", "/dev/null")


def faults(place, call, how, cause):
    """Whatever was answered 200, and nothing else, is told and is there; a nonce heals the rest."""
    with failing(place, call, how, "aster.db-wal") as server:
        alice, bob = place.login(server), place.login(server, "bob")
        before = place.history(alice)
        nonces = [f"{call} {how} {number}" for number in range(2 * MESSAGES)]
        answers = [place.send(alice, "hello", nonce=nonce) for nonce in nonces]
        good = [answer["message"] for answer in answers if answer["status"] == 200]
        bad = [nonce for nonce, answer in zip(nonces, answers) if answer["status"] == 500]
        assert good and bad and len(good) + len(bad) == len(answers), answers
        assert place.history(alice) == before + good, "not what was answered"
        for nonce in bad:
            while (answer := place.send(alice, "hello", nonce=nonce))["status"] != 200:
                assert answer["status"] == 500, answer
            good.append(answer["message"])
        assert place.history(alice) == before + good
        assert told(bob) == good, "told of something else than is there"
        assert any(f"send failed: database: {cause}" in line for line in place.log), place.log
        server.kill()
    with place.server() as server:
        assert place.history(place.login(server)) == before + good, "not there after a kill"
        server.stop()
    print(f"durability: {call} of aster.db-wal, {how}: {len(bad)} of {len(answers)} sends were 500")


def unknowable(place, call, how, content, *files):
    """The commit fails when it may be in the write-ahead log already: at its sync, or as the log's
    index has to grow. That is answered 500 and told to nobody, and may all the same be there after
    a crash, unless something was committed in its place. The nonce heals that, too."""
    with failing(place, call, how, *files) as server:
        alice = place.login(server)
        good = place.history(alice)
        while (answer := place.send(alice, content, nonce=f"{call} {len(good)}"))["status"] == 200:
            good.append(answer["message"])
        assert answer["status"] == 500, answer
        assert place.history(alice) == good
        wal_mib = place.wal.stat().st_size >> 20
        server.kill()
    with place.server() as server:
        alice = place.login(server)
        ghosts = [uuid for uuid in place.history(alice) if uuid not in good]
        again = place.send(alice, content, nonce=f"{call} {len(good)}")["message"]
        assert ghosts in ([], [again]), ghosts
        assert place.history(alice) == good + [again]
        server.stop()
    assert not place.wal.exists(), "the write-ahead log was not folded in"
    print(f"durability: {call} of {' and '.join(files)}, {how}, then a kill: "
          f"{len(ghosts)} message that was answered 500 was there, and asked for again just once")
    return wal_mib


def checkpoints(place):
    """Copying the write-ahead log into the database fails: no commit depends on it, until the log
    has grown so far that its index has to grow, which fails as well."""
    wal_mib = unknowable(place, "pwrite64", "error=ENOSPC:when=9+", LONG, "aster.db", "aster.db-shm")
    assert wal_mib >= 15, f"sends failed when the write-ahead log had {wal_mib} MiB"


# --- A full disk.

# Each lets us mount for ourselves: as anybody where the kernel allows it, or as root.
OWN_MOUNTS = [("unshare", "--map-root-user", "--mount"), ("unshare", "--mount")]
MOUNT = "mount -t tmpfs -o size=3m tmpfs"
FILLER_BYTES = 1 << 20


def full_disk(place, unshare):
    """The server on a disk of 3 MiB, of which something else takes one until it is removed."""
    disk = place.folder.parent / "disk"
    disk.mkdir()
    fill = f"head -c {FILLER_BYTES} /dev/zero >filler"
    script = f'{MOUNT} "$0" && cp -a . "$0" && cd "$0" && {fill} && exec "$@"'
    with place.server(*unshare, "sh", "-c", script, str(disk)) as server:
        alice, bob, carol = place.login(server), place.login(server, "bob"), place.connect(server)
        good = place.history(alice)
        for content in (LONG, "short"):
            while (answer := place.send(alice, content))["status"] == 200:
                good.append(answer["message"])
            assert answer == {"command": "send", "label": "send", "status": 500}, answer
        began, count = time.monotonic(), 0
        while time.monotonic() < began + 2:
            # A log that is emptied meanwhile gives some room back, for a while.
            answer = place.send(alice, "short")
            if answer["status"] == 200:
                good.append(answer["message"])
            else:
                assert answer["status"] == 500, answer
                count += 1
        assert count > 0
        registered = carol.try_ask("register", uname="carol", passwd="wonderland")["status"]
        assert registered in (200, 500), registered
        # Reading, and what needs nothing else, goes on.
        assert place.history(alice) == good[-500:]
        place.login(server).ask("get_metadata")
        assert get(server, place.tls, "/health") == '{"status":"ok"}'
        said = "send failed: database: database or disk is full"
        logged = len([line for line in place.log if line.startswith(said)])
        bound = FAULTS_LOGGED_MAX * (time.monotonic() - began + 2)
        assert 0 < logged <= bound, (bound, place.log)
        # There is room again.
        Path(f"/proc/{server.pid}/root{disk}/filler").unlink()
        good.append(place.send(alice, LONG)["message"])
        if registered == 500:
            carol.ask("register", uname="carol", passwd="wonderland")
        assert place.history(alice) == good[-500:]
        assert set(told(bob)) <= set(good), "told of what is not there"
        server.stop()
    print(f"durability: a full disk: {count} sends were 500, in {logged} lines of the log; "
          "reading went on, and once there was room, sending did")


def left_out(what, why):
    print(f"durability: {why}, so this is LEFT OUT: {what}")


def main():
    binary = str(Path(sys.argv[1]).resolve())
    log = []
    if can("strace", "-f", "-o", "/dev/null", "true"):
        with empty_folder(log) as folder:
            place = Place(binary, folder, log)
            sync_before_answer(place)
            for fault in FAULTS:
                faults(place, *fault)
            unknowable(place, "fsync", "error=EIO:when=4+", "perhaps", "aster.db-wal")
            checkpoints(place)
    else:
        left_out("syncs before answers, and writes that fail", "strace cannot trace here")
    unshare = next((words for words in OWN_MOUNTS if can(*words, "sh", "-c", f"{MOUNT} /mnt")), None)
    if unshare:
        with empty_folder(log) as folder:
            full_disk(Place(binary, folder, log), unshare)
    else:
        left_out("a full disk", "nobody may mount here")
    print("durability: ok")


if __name__ == "__main__":
    main()
