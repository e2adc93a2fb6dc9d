"""What the sweep takes for ours: by label, boot, token and name; and what it leaves alone."""

from pathlib import Path

import pytest
import trio

from actors.ports import ContainerOrder
from actors.recorder import Recorder
from actors.supervisor import Supervisor
from actors.sweep import Sweeper
from actors.world import World
from moorage.testing import FakeEngine
from moorage.testing.simulated_daemon import SimulatedInstance
from protocol.ledger import Header
from protocol.settings import GUEST_IMAGE, Settings

OURS = "simulated"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("name", "boot", "token", "is_swept"),
    [
        ("moorage-0123456789ab", "dead", "dead.moorage-0123456789ab", True),
        ("moorage-0123456789ab-2", "dead", "dead.moorage-0123456789ab-2", True),
        ("moorage-spare-0123456789ab", "dead", "dead.moorage-spare-0123456789ab", True),
        ("moorage-probe-0123456789ab", "dead", "dead.moorage-probe-0123456789ab", True),
        ("moorage-probe-0123456789ab", "dead", "moorage-probe-0123456789ab", False),  # no boot, no token of ours
        ("moorage-fedcba987654", "dead", "dead.moorage-spare-0123456789ab", True),  # claimed, and renamed
        ("moorage-fedcba987654-1", "dead", "dead.moorage-spare-0123456789ab", True),
        ("moorage-fedcba987654", "here", "here.moorage-spare-0123456789ab", True),  # this boot's, and nobody has it
        ("moorage-0123456789ab", "alive", "alive.moorage-0123456789ab", False),
        ("jolly_curie", "dead", "dead.moorage-0123456789ab", False),  # labels that were copied
        ("jolly_curie", "dead", "dead.moorage-spare-0123456789ab", False),
        ("moorage-fedcba987654", "dead", "dead.moorage-0123456789ab", False),
        ("moorage-fedcba987654-x", "dead", "dead.moorage-spare-0123456789ab", False),
        ("moorage-0123456789ab", "dead", "other.moorage-0123456789ab", False),
        ("moorage-0123456789ab", "dead", "", False),
    ],
)
async def test_what_is_swept(
    name: str, boot: str, token: str, is_swept: bool, autojump_clock: trio.testing.MockClock, tmp_path: Path
) -> None:
    instance = SimulatedInstance("here", {"alive"})
    async with FakeEngine.open() as engine, trio.open_nursery() as nursery:
        recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
        world = World(engine, nursery, recorder, lambda code, details: None, OURS, "here")
        labels = {"moorage.instance": OURS, "moorage.boot": boot}
        await engine.create_container(ContainerOrder(name=name, token=token, image=GUEST_IMAGE, labels=labels))
        assert await Sweeper(Supervisor(world, Settings()), instance).sweep() == int(is_swept)
        await trio.testing.wait_all_tasks_blocked()
        assert engine.alive == (set() if is_swept else {name})


@pytest.mark.trio
async def test_one_that_gets_another_name_after_the_look(autojump_clock: trio.testing.MockClock) -> None:
    """A rename that the dead daemon had asked for is done between the list and the removal."""
    spare = "moorage-spare-0123456789ab"
    async with FakeEngine.open() as engine, trio.open_nursery() as nursery:
        recorder = Recorder(None, trio.current_time, Header(moorage="1", fingerprint={}), lambda why: None)
        world = World(engine, nursery, recorder, lambda code, details: None, OURS, "here")
        labels = {"moorage.instance": OURS, "moorage.boot": "dead"}
        order = ContainerOrder(name=spare, token=f"dead.{spare}", image=GUEST_IMAGE, labels=labels)
        made = await engine.create_container(order)
        (found,) = await engine.list_containers({"moorage.instance": OURS})
        await engine.rename_container(made, "moorage-fedcba987654")
        Supervisor(world, Settings()).adopt_orphan(found, order.token, "left by boot dead")
        await trio.testing.wait_all_tasks_blocked()
        assert engine.alive == set()
