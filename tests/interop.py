"""An unmodified asterpy 0.6.1 against the release binary.

usage: interop.py BINARY, in an environment where asterpy is installed

Left out, since asterpy cannot do it on any server: `Server.list_emojis` (takes the pairs of
the response for objects), `asterpy.fetch_emoji`, `fetch_pfp` and `connect(init_commands)` (call
what does not exist), `Message.reply`'s result (always None), anything that encodes permissions
(`Permissions.to_array`). A response whose status is not 200 reaches `get_response` only.
"""

import asyncio
import json
import subprocess
import sys
from base64 import b64encode
from contextlib import asynccontextmanager
from pathlib import Path

import asterpy
from asterpy import ConnectionMode
from smoke import Server, empty_folder

DEADLINE_S = 10
PICTURE = Path(__file__).parent.parent.joinpath("assets/icon.png").read_bytes()


class Bot:
    """One asterpy client, with what it was told in the order of arrival."""

    def __init__(self, port, username, password="wonderland", **how):
        self.messages, self.packets = asyncio.Queue(), asyncio.Queue()
        self._ready = asyncio.Event()
        self._client = asterpy.Client(username, password)
        self._client.add_server("127.0.0.1", port, **how)
        self._client.on_message = self.messages.put
        self._client.on_packet = self.packets.put
        self._client.on_ready = self._on_ready
        self.server = self._client.servers[0]

    async def _on_ready(self):
        self._ready.set()

    async def until(self, wanted):
        """Waits, but not past the deadline, nor when asterpy has failed or was hung up on."""
        wanted = asyncio.ensure_future(wanted)
        tasks = {wanted, self._connection}
        await asyncio.wait(tasks, timeout=DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        if self._connection.done():
            self._connection.result()
            raise AssertionError("the server hung up")
        raise AssertionError("nothing came in time")

    async def ask(self, command, **fields):
        return await self.until(self.server.get_response({"command": command, **fields}))

    async def event(self, command, **fields):
        """The next packet of that name and those fields; others are skipped."""
        while True:
            packet = await self.until(self.packets.get())
            if packet == {**packet, "command": command, "status": 200, **fields}:
                return packet

    async def run(self):
        self._connection = asyncio.create_task(self._client.connect())
        await self.until(self._ready.wait())

    async def leave(self):
        await self.server.disconnect()
        await asyncio.wait_for(self._connection, DEADLINE_S)

    @property
    def general(self):
        return self.server.get_channel_by_name("general")


@asynccontextmanager
async def bots(*them):
    """Clients that are ready, and leave in order at the end."""
    for bot in them:
        await bot.run()
    yield them[0] if len(them) == 1 else them
    for bot in them:
        await bot.leave()


async def newcomers_register(port):
    for name in ("alice", "bob"):
        async with bots(Bot(port, name, connect_mode=ConnectionMode.REGISTER)) as bot:
            user = bot.server.get_user_by_name(name)
            assert user.uuid == bot.server.self_uuid
            assert user.pfp.startswith(b"\x89PNG") and bot.server.icon.startswith(b"\x89PNG")
            assert bot.server.name == "Aster Server"
            assert bot.general is not None


async def members_log_in_by_name_and_by_uuid(port):
    async with bots(Bot(port, "alice")) as alice:
        uuid = alice.server.self_uuid
    async with bots(Bot(port, None, uuid=uuid)) as alice:
        assert alice.server.get_user(uuid).username == "alice"


async def a_stranger_is_refused(port):
    async with bots(Bot(port, "", connect_mode=ConnectionMode.NEITHER)) as stranger:
        assert (await stranger.ask("get_name"))["data"] == "Aster Server"
        assert (await stranger.ask("get_metadata"))["status"] == 401
        refused = await stranger.ask("login", uname="alice", passwd="looking-glass")
        assert refused["status"] == 403
        refused = await stranger.ask("register", uname="alice", passwd="looking-glass")
        assert refused["status"] == 409


async def members_hear_of_a_newcomer(port):
    async with bots(Bot(port, "alice")) as alice:
        async with bots(Bot(port, "carol", connect_mode=ConnectionMode.REGISTER)) as carol:
            uuid = carol.server.self_uuid
            both = sorted([alice.server.self_uuid, uuid])
            await alice.event("online", data=both)
            while alice.server.get_user(uuid) is None:
                await alice.event("get_metadata")
            assert alice.server.get_user(uuid).username == "carol"
            fetched = await alice.until(alice.server.fetch_user(uuid))
            assert (fetched.uuid, fetched.username, fetched.groups) == (uuid, "carol", [])
            assert await alice.until(alice.server.fetch_user(1)) is None
        await alice.event("online", data=[alice.server.self_uuid])


async def two_members_chat(port):
    async with bots(Bot(port, "alice"), Bot(port, "bob")) as (alice, bob):
        sent = await alice.until(alice.general.send("a cup of tea? ☕"))
        for bot in (alice, bob):
            heard = await bot.until(bot.messages.get())
            assert (heard.uuid, heard.content) == (sent.uuid, "a cup of tea? ☕")
            assert (heard.author.username, heard.channel.name) == ("alice", "general")

        await bob.until(heard.reply("with milk"))
        answer = await alice.until(alice.messages.get())
        assert (answer.content, answer.reply_uuid) == ("with milk", sent.uuid)
        assert answer.author.username == "bob"

        await sent.edit("a pot of tea?")
        await bob.event("message_edited", message=sent.uuid, new_content="a pot of tea?")
        kept = await bob.until(bob.general.fetch_history())
        assert [(m.uuid, m.content) for m in kept] == [
            (sent.uuid, "a pot of tea?"),
            (answer.uuid, "with milk"),
        ]
        assert kept[1].reply_uuid == sent.uuid

        # asterpy does not wait for what comes of an edit or a deletion: ask for it.
        refused = await bob.ask("edit", message=sent.uuid, new_content="coffee")
        assert refused["status"] == 403
        refused = await bob.ask("delete", message=sent.uuid)
        assert refused["status"] == 403

        await sent.delete()
        await bob.event("message_deleted", message=sent.uuid)
        (left,) = await bob.until(bob.general.fetch_history())
        assert (left.uuid, left.reply_uuid) == (answer.uuid, sent.uuid)


async def history_has_pages(port):
    async with bots(Bot(port, "alice"), Bot(port, "bob")) as (alice, bob):
        for number in range(25):
            await alice.until(alice.general.send(f"page me {number}"))
        pages, oldest = [], None
        while page := await bob.until(bob.general.fetch_history(10, oldest)):
            pages.insert(0, page)
            oldest = page[0]
        assert [len(page) for page in pages] == [6, 10, 10]
        contents = [message.content for page in pages for message in page]
        assert contents == ["with milk"] + [f"page me {number}" for number in range(25)]


async def what_devices_share_is_kept(port):
    servers = [
        {"uuid": 5, "uname": "al", "ip": "::1", "port": 2345, "pfp": None, "name": "home", "idx": 0},
        {"uuid": None, "uname": "a", "ip": "example.com", "port": 1, "pfp": "", "name": None, "idx": 1},
    ]
    async with bots(Bot(port, "alice")) as alice:
        assert await alice.until(alice.server.fetch_sync()) is None
        pfp = b64encode(PICTURE).decode()
        assert (await alice.ask("sync_set", uname="al", pfp=pfp))["status"] == 200
        assert (await alice.ask("sync_set_servers", servers=servers))["status"] == 200
    async with bots(Bot(port, "alice")) as alice:
        shared = await alice.until(alice.server.fetch_sync())
        assert (shared.uname, shared.pfp) == ("al", pfp)
        kept = [(s.ip, s.port, s.name, s.uuid) for s in shared.servers]
        owner = alice.server.self_uuid
        assert kept == [("::1", 2345, "home", owner), ("example.com", 1, None, owner)]


async def a_restart_loses_nothing(port):
    async with bots(Bot(port, "bob")) as bob:
        history = await bob.until(bob.general.fetch_history())
        assert [m.content for m in history] == ["with milk"] + [f"page me {n}" for n in range(25)]
        assert [m.author.username for m in history] == ["bob"] + ["alice"] * 25
    async with bots(Bot(port, "alice")) as alice:
        assert (await alice.until(alice.server.fetch_sync())).uname == "al"


async def an_emoji_is_made_and_fetched(port):
    async with bots(Bot(port, "alice"), Bot(port, "bob")) as (alice, bob):
        assert (await bob.ask("list_emoji"))["data"] == []
        data = b64encode(PICTURE).decode()
        assert (await bob.ask("create_emoji", name="aster", data=data))["status"] == 403
        uuid = (await alice.ask("create_emoji", name="aster", data=data))["uuid"]
        await bob.event("list_emoji", data=[["aster", uuid]])
        emoji = await bob.until(bob.server.fetch_emoji(uuid))
        assert (emoji.uuid, emoji.name, emoji.data) == (uuid, "aster", data)


async def an_owner_makes_a_channel(port):
    async with bots(Bot(port, "alice"), Bot(port, "bob")) as (alice, bob):
        tea = await alice.until(alice.server.create_channel("tea"))
        assert tea.name == "tea", "asterpy looks it up as soon as it has the response"
        await bob.event("list_channels")
        sent = await bob.until(bob.server.get_channel_by_name("tea").send("is it on?"))
        heard = await alice.until(alice.messages.get())
        assert (heard.uuid, heard.channel.uuid) == (sent.uuid, tea.uuid)
        refused = await bob.ask("create_channel", name="milk")
        assert refused["status"] == 403


async def moderators_have_a_room_of_their_own(port):
    async with bots(Bot(port, "alice"), Bot(port, "bob"), Bot(port, "carol")) as them:
        alice, bob, carol = them
        group = {"name": "mods", "colour": 0xFF, "position": 1, "permissions": [0, 0x40, 0]}
        mods = (await alice.ask("create_group", **group))["uuid"]
        user = bob.server.self_uuid
        assert (await alice.ask("update_user_groups", user=user, groups=[mods]))["status"] == 200
        await carol.event("get_metadata")
        assert carol.server.get_user(user).groups == [mods]

        overrides = {"group:0": [0, 0, 8], f"group:{mods}": [0, 0, 4]}
        room = (await alice.ask("create_channel", name="room", permissions=overrides))["uuid"]
        await bob.event("list_channels")
        await bob.until(bob.server.get_channel_by_name("room").send("just us"))
        heard = await bob.until(bob.messages.get())
        assert (heard.content, heard.channel.uuid) == ("just us", room)
        for command in ("send", "history"):
            refused = await carol.ask(command, channel=room, content="hello?", num=1)
            assert refused["status"] == 404
        assert carol.messages.empty() and carol.server.get_channel_by_name("room") is None

        sent = await carol.until(carol.general.send("buy my tea"))
        assert (await bob.ask("delete", message=sent.uuid))["status"] == 200
        await carol.event("message_deleted", message=sent.uuid)

        # Taken away in the middle of a conversation, the stream stops at once.
        assert (await alice.ask("update_user_groups", user=user, groups=[]))["status"] == 200
        said = await alice.until(alice.server.get_channel_by_name("room").send("is bob gone?"))
        assert (await bob.ask("history", channel=room, num=1))["status"] == 404
        while not bob.messages.empty():
            assert bob.messages.get_nowait().uuid != said.uuid


async def a_banned_member_stays_out(port):
    async with bots(Bot(port, "alice")) as alice:
        carol = Bot(port, "carol")
        await carol.run()
        user = carol.server.self_uuid
        assert (await alice.ask("ban", user=user, reason="spam"))["status"] == 200
        await asyncio.wait_for(carol._connection, DEADLINE_S)
        async with bots(Bot(port, "", connect_mode=ConnectionMode.NEITHER)) as stranger:
            login = {"uname": "carol", "passwd": "wonderland"}
            assert (await stranger.ask("login", **login))["status"] == 403
            assert (await alice.ask("unban", user=user))["status"] == 200
            assert (await stranger.ask("login", **login))["status"] == 200


FIRST_RUN = [
    newcomers_register,
    members_log_in_by_name_and_by_uuid,
    a_stranger_is_refused,
    members_hear_of_a_newcomer,
    two_members_chat,
    history_has_pages,
    what_devices_share_is_kept,
]
SECOND_RUN = [
    a_restart_loses_nothing,
    an_owner_makes_a_channel,
    moderators_have_a_room_of_their_own,
    a_banned_member_stays_out,
    an_emoji_is_made_and_fetched,
]


def run(binary, folder, log):
    """Runs the tests on one server folder; each builds on those before it."""
    (folder / "config.json").write_text(json.dumps({"addr": "127.0.0.1", "port": 0}))
    for tests in (FIRST_RUN, SECOND_RUN):
        with Server(binary, folder, log) as server:
            for test in tests:
                print("interop:", test.__name__.replace("_", " "), flush=True)
                asyncio.run(test(server.port))
            server.stop()
        if tests is FIRST_RUN:
            subprocess.run([binary, "owner", "alice"], cwd=folder, check=True)


def main():
    log = []
    with empty_folder(log) as folder:
        run(str(Path(sys.argv[1]).resolve()), folder, log)
    print(f"{len(FIRST_RUN + SECOND_RUN)} passed, 0 failed")


if __name__ == "__main__":
    main()
