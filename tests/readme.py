"""What the README says about running a community, as one would paste it: a real server, openssl,
and the release binary on the PATH.

usage: readme.py BINARY
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from smoke import Server, empty_folder

README = Path(__file__).resolve().parent.parent / "README.md"


def blocks(heading):
    """The shell blocks of one section of the README."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", README.read_text(), re.M | re.S).group(1)
    return re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)


class Shell:
    """Runs blocks, each in a shell that has the binary on its PATH and the lines kept so far."""

    def __init__(self, binary, folder):
        path = f"{Path(binary).parent}:{os.environ['PATH']}"
        self._where = {"cwd": folder, "env": {"PATH": path}}
        self._before = ""

    def paste(self, block, typed=""):
        """Runs a block after the lines that were kept; what it printed."""
        done = subprocess.run(
            ["sh", "-euc", f"{self._before}\n{block}"],
            capture_output=True,
            check=False,
            input=typed,
            text=True,
            **self._where,
        )
        assert done.returncode == 0, f"{block}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def keep(self, lines):
        """Lines that later blocks need: functions and variables."""
        self._before += lines + "\n"


def register(server, shell, name):
    shell.paste(
        f"""printf '%s\\n' '{{"command":"register","uname":"{name}","passwd":"{name}"}}' '{{"command":"leave"}}' |
        openssl s_client -quiet -connect localhost:{server.port} 2>/dev/null"""
    )


def answers(output):
    """The answers among what was printed, each of which must be 200."""
    packets = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert packets and all(packet["status"] == 200 for packet in packets), output
    return packets


def community(binary, folder, log):
    owner, functions, group, channel, ban, invite, invited, record = blocks("Running a community")
    shell = Shell(binary, folder)
    (folder / "config.json").write_text('{"addr": "127.0.0.1", "port": 0}')
    password = re.search("PASSWORD='(.*)'", functions).group(1)
    with Server(binary, folder, log) as server:
        here = lambda block: block.replace("localhost:2345", f"localhost:{server.port}")
        printed = shell.paste(owner, typed=password + "\n")
        assert printed == "me is now an owner\n", printed
        for name in ("bob", "eve"):
            register(server, shell, name)
        shell.keep(here(functions))

        answers(shell.paste(group))
        shell.keep("\n".join(line for line in group.splitlines() if line.startswith("BOB=")))
        shell.keep("MODS=$(ask list_groups | grep -o '{\"uuid\":[0-9]*,\"name\":\"mods\"' | uuid)")
        printed = shell.paste(channel)
        answers(printed)
        assert re.search(r"view_channel +allow +the channel, for the group mods", printed), printed
        assert re.search(r"manage_messages +allow +the group mods", printed), printed
        _, bans, _ = answers(shell.paste(ban))
        assert [each["reason"] for each in bans["data"]] == ["spam"], bans
        printed = shell.paste(record, typed="looking-glass\n")
        actions = [line.split("\t")[2] for line in printed.splitlines() if "\t" in line]
        expected = "owner create_group update_user_groups create_channel ban unban".split()
        assert actions == expected, printed
        assert printed.endswith("bob has a new password\n"), printed
        server.stop()

    (folder / "config.json").write_text('{"addr": "127.0.0.1", "port": 0, "registration": "invite"}')
    shell = Shell(binary, folder)
    with Server(binary, folder, log) as server:
        here = lambda block: block.replace("localhost:2345", f"localhost:{server.port}")
        printed = shell.paste(f"{invite}{here(invited)}{here(invited)}")
        listed, *packets = printed.splitlines()
        assert listed.split("\t")[1] == "1 left", printed
        statuses = [packet["status"] for packet in map(json.loads, packets) if packet["command"] == "register"]
        assert statuses == [200, 403], printed
        printed = shell.paste(blocks("Backup")[0])
        assert "whole and checked: 4 members" in printed, printed
        server.stop()


def main():
    log = []
    with empty_folder(log) as folder:
        community(str(Path(sys.argv[1]).resolve()), folder, log)
    print("readme: ok")


if __name__ == "__main__":
    main()
