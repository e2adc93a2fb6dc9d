"""A thousand connections with real actors: whatever ends them, nothing stays counted and no timer is left."""

from collections.abc import Callable
from random import Random

import pytest
import trio

from actors.recorder import Recorder
from actors.supervisor import Supervisor
from actors.world import World
from moorage.testing import FakeEngine
from moorage.testing.engine import FakeImage
from moorage.testing.fake_client import FakeChannel, FakeClient
from protocol.connection import Authenticated, CloseWanted, DrainWanted, ShimFailed, TerminateWanted
from protocol.ledger import Header
from protocol.session import ProgramWanted
from protocol.settings import Docker, Execution, ExecutionMode, Settings
from protocol.settings_limits import AddressShare, Limits, LoginRate, Share
from tests.broken import break_

LIMITS = Limits(
    user=Share(connections=25, sessions=40, containers=35, login_rate=LoginRate(logins=60, period=600.0)),
    address=AddressShare(connections=220, sessions=200, containers=150),
    idle=300.0,
    total=1000.0,
)
COUNT = 1000


def ends(client: FakeClient, supervisor: Supervisor, dice: Random) -> list[Callable[[], None]]:
    """All that can end a connection."""
    mailbox = client.mailbox
    assert mailbox is not None
    short = mailbox.id.removeprefix("cn-")

    def shut_down() -> None:
        mailbox.post(DrainWanted())
        mailbox.post(TerminateWanted(why="the server is shutting down"))

    mine = [actor for id, actor in supervisor.world.actors.items() if short in id]
    return [
        client.disconnect,
        client.abort,
        lambda: mailbox.post(CloseWanted(why="the server is shutting down")),
        lambda: mailbox.post(ShimFailed(why="an error of ours")),
        shut_down,
        lambda: None,  # it is left to the limits
        lambda: break_(dice.choice(mine)),
    ]


@pytest.mark.trio
@pytest.mark.parametrize("mode", ["connection", "session"])
async def test_everything_is_given_back(mode: ExecutionMode, autojump_clock: trio.testing.MockClock) -> None:
    dice, said = Random(mode), set[str]()
    settings = Settings(docker=Docker(execution=Execution(mode=mode, container={"Image": "busybox:1"})), limits=LIMITS)
    recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
    async with FakeEngine.open() as engine, trio.open_nursery() as nursery:
        world = World(engine, nursery, recorder, lambda code, details: said.add(code.name), "i", "b")
        engine.images["busybox:1"] = FakeImage()
        supervisor = Supervisor(world, settings)
        clients = [FakeClient(supervisor, nursery) for _ in range(COUNT)]
        for number, client in enumerate(clients):
            client.connect(f"192.0.2.{dice.randrange(4)}:{1024 + number}")
            assert client.mailbox is not None
            await trio.sleep(0.01)
            if dice.random() < 0.05 or client.told:
                continue  # never logs in, or was refused
            client.mailbox.post(Authenticated(username=f"user{dice.randrange(30)}", method="publickey"))
            await trio.sleep(0.01)
            for _ in range(dice.randrange(3)):
                open_session(client, supervisor)
        counted = supervisor.admission.counts.statistics()
        assert counted["connections by user"] > 300 and counted["containers by user"] > 100, counted
        empty = trio.Event()
        world.on_empty = empty.set
        dice.shuffle(clients)
        for client in clients:
            if not client.lost.is_set():
                dice.choice(ends(client, supervisor, dice))()
                await trio.sleep(0.01)
        with trio.fail_after(5000):  # of the jumping clock: the limits in time have ended the rest
            await empty.wait()
        assert supervisor.admission.counts.statistics() == {}
        assert not engine.alive
        nursery.cancel_scope.cancel()
    wanted = ("CONNECTIONS", "CONTAINERS", "IDLE", "IDLE_NEAR")
    assert said >= {f"MOORAGE_LIMIT_{name}" for name in wanted}


def open_session(client: FakeClient, supervisor: Supervisor) -> None:
    assert client.mailbox is not None
    if client.lost.is_set() or supervisor.may_open(client.mailbox).why:
        return
    channel = FakeChannel(client)
    channel.port = supervisor.session_opened(client.mailbox, channel)
    client.channels.append(channel)
    channel.port.vault.command = b"cat"
    channel.port.post(ProgramWanted(program="exec", command="cat"))
