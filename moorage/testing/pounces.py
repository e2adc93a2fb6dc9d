"""What is made to happen at the very moment in which an actor enters a state: by chance most of that would take years.

Each pair of a state and an act is drawn as often as any other, with failpoints that lead to the state and keep it.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from actors.spare import SpareActor
from fsm.machines import MACHINES
from moorage.testing.fake_client import FakeClient
from protocol.connection import Authenticated

if TYPE_CHECKING:
    from moorage.testing.customers import Customer
    from moorage.testing.simulation import Run
    from moorage.testing.visits import Visit

DELAYS_S = (0.0, 0.0, 0.0, 0.02, 0.1)
TIMES_MAX = 6  # of one pounce in a run
ENGINE_ACTS = ("out of memory", "streams break", "removed by somebody else")
CLAIMS = ("claim", *(f"claim, {act}" for act in ENGINE_ACTS))
# By machine. A name that is no method of `Pouncer` is one of `_TIMED`, or the engine's.
ACTS: Mapping[str, tuple[str, ...]] = {
    "session": (
        *(
            "resize",
            "resize",
            "signal",
            "odd",
            "ask late",
            "leave",
            "disconnect",
            "stop",
            "limit",
            "send eof",
            "forward",
            "more",
        ),
        *ENGINE_ACTS,
    ),
    "connection": ("open", "forward", "forward", "disconnect", "go silent", "fail", "stop", "limit", *ENGINE_ACTS),
    "container": ("stop", *CLAIMS, "disconnect", "leave", *ENGINE_ACTS),
    "auth": ("drop", "disconnect", "stop"),
    "terminal": ("resize", "resize", "leave"),
    "signal": ("signal", "leave", "disconnect"),
    "timer": ("disconnect", "leave"),
    "spare": (*CLAIMS, *CLAIMS, "reload"),
    "image": ("disconnect", "leave", "reload"),
    "server": ("reload", "reload broken", "open", "forward", "resize"),
}
# What leads to a state, where it does not come by itself.
LEADS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "session CREATING": (("create_exec: 4*delay(2.0)",),),
    "session CREATING_AGAIN": (("create_exec: 2*fail(unavailable) -> off",), ("create_exec: 9*fail(unavailable)",)),
    "session ATTACHING": (
        ("start_exec: 4*delay(2.0)",),
        ("start_exec: 4*delay(9.0)",),
        ("start_exec: 3*80%lose(unavailable)",),
    ),
    "session AWAITING_EXIT": (("wait_container: 4*delay(2.0)",), ("wait_container: 4*hang",)),
    "session DRAINING": (("inspect_exec: delay(0.2)",),),
    "session READING_EXIT": (("inspect_exec: 4*delay(2.0)",), ("inspect_exec: 9*delay(20.0)",)),
    "session READING_EXIT_AGAIN": (("inspect_exec: 5*fail(unavailable)",), ("inspect_exec: fail(unavailable)",)),
    "session CLOSING": (("create_exec: delay(1.0)",), ("start_exec: delay(1.0)",), ("inspect_exec: delay(1.0)",)),
    "connection LANDING": (("create_container: delay(1.0)",), ("start_container: delay(1.0)",)),
    "connection CLOSING": (("create_container: delay(1.0)",), ("start_container: delay(0.2)",)),
    "connection STRANDED": (("create_container: 60%fail(invalid)",),),
    "container CREATING_AGAIN": (("create_container: 3*fail(unavailable)",),),
    "container ATTACHING_AGAIN": (("attach_container: 3*fail(unavailable)",),),
    "container STARTING_AGAIN": (("start_container: 3*fail(unavailable)",), ("start_container: fail(unavailable)",)),
    "container UNWATCHED": (
        ("wait_container: 50%fail(unavailable)", "rename_container: 50%delay(1.0)"),
        ("wait_container: 70%fail(unavailable)", "rename_container: 70%fail(conflict)"),
    ),
    "container STOPPING": (
        ("kill_container: delay(1.0)", "rename_container: 60%delay(2.0)"),
        ("kill_container: delay(0.2)", "rename_container: 60%late(0.1)", "wait_container: 50%fail(unavailable)"),
    ),
    "container REMOVING": (("remove_container: delay(1.0)", "rename_container: 50%delay(1.0)"),),
    "container REMOVING_AGAIN": (("remove_container: 5*fail(unavailable)", "wait_container: 50%delay(0.2)"),),
    "container REPLACING": (
        ("attach_container: 3*lose(unavailable)", "remove_container: 4*delay(2.0)"),
        ("attach_container: 3*lose(unavailable)", "remove_container: 3*fail(unavailable)"),
    ),
    "container UNLINKED": (("rename_container: 60%delay(1.0)",), ("rename_container: 60%fail(conflict)",)),
    "image PULLING_AGAIN": (("pull_image: 3*fail(unavailable)",),),
    "image INSPECTING_AGAIN": (("inspect_image: 3*fail(unavailable)",),),
    "terminal RESIZING": (("resize_exec: delay(1.0)", "resize_container: delay(1.0)"),),
    "terminal RESIZING_AGAIN": (
        ("resize_exec: fail(conflict)", "resize_container: fail(conflict)"),
        ("resize_exec: 1*delay(2.0) -> fail(conflict)", "resize_container: 1*delay(2.0) -> fail(conflict)"),
    ),
    "signal SENDING": (("kill_container: delay(2.0)",), ("kill_container: hang",)),
    "signal SENDING_AGAIN": (("kill_container: fail(unavailable)",),),
}
TIMED = ("timer MEASURING", "timer MEASURING_AGAIN")
SHORT = (
    *TIMED,
    *("container LINKING", "session SPAWNING", "server DRAINING", "server TERMINATING", "server KILLING"),
)
SERVICE_LEADS: Mapping[str, tuple[str, ...]] = {
    "auth CHECKING_AGAIN": ("password: 3*fail(unavailable)", "pubkey: 3*fail(unavailable)"),
    "auth AUTHORIZING_AGAIN": ("authz: 3*fail(unavailable)",),
    "auth CONFIGURING_AGAIN": ("config: 3*fail(unavailable)",),
    "auth AUTHORIZING": ("authz: 3*delay(1.0)",),
    "auth CONFIGURING": ("config: 3*delay(0.2)",),
}


class Pounce(Struct, frozen=True):
    """`act` happens when an actor of this machine enters `state`."""

    machine: str
    state: str
    act: str

    @property
    def leads(self) -> tuple[tuple[str, ...], ...]:
        return LEADS.get(f"{self.machine} {self.state}", ())

    @property
    def is_at_the_end(self) -> bool:
        """The daemon has to be stopped for it."""
        late = self.state in ("DRAINING", "CLOSING") and self.machine == "connection"
        return self.act in ("stop", "more") or late or self.state == "STOPPING" or self.machine == "server"

    @property
    def is_of_execs(self) -> bool:
        """A program has to be run by the engine's exec."""
        execs = ("CREATING", "CREATING_AGAIN", "ATTACHING", "READING_EXIT", "READING_EXIT_AGAIN", "CLOSING")
        return (self.machine == "session" and self.state in execs) or self.machine == "terminal"

    @property
    def service_leads(self) -> tuple[str, ...]:
        return SERVICE_LEADS.get(f"{self.machine} {self.state}", ())


def draw_pounce(dice: Random) -> Pounce:
    """One of all; states that do not come by themselves more often."""
    if dice.random() < 0.7:
        machine, _, state = dice.choice((*LEADS, *SERVICE_LEADS, *SHORT)).partition(" ")
    else:
        machine = dice.choice([*ACTS])
        state = dice.choice([state.name for state in MACHINES[machine].states])
    return Pounce(machine, state, dice.choice(ACTS[machine]))


def draw_pounces(dice: Random) -> tuple[Pounce, ...]:
    """Two, and what makes the state of one of them."""
    pounces = [draw_pounce(dice) for _ in range(2)]
    if any(pounce.state == "UNLINKED" for pounce in pounces):
        pounces.append(Pounce("container", "RUNNING", "streams break"))
    if any(pounce.state == "STOPPING" for pounce in pounces):
        pounces.append(Pounce("connection", "SERVING", "stop"))
    return tuple(pounces)


class Pouncer:
    """Looks for the moments and does the acts, until the weather is fair."""

    def __init__(self, run: "Run", outside: trio.Nursery) -> None:
        self._run, self._outside = run, outside
        self._dice = Random(f"pounces {run.weather.seed}")
        self._left = dict.fromkeys(run.weather.pounces, TIMES_MAX)

    def entered(self, actor: str, machine: str, state: str) -> None:
        for pounce, left in self._left.items():
            if (pounce.machine, pounce.state) == (machine, state) and left and not self._run.fair.is_set():
                self._left[pounce] -= 1
                self._outside.start_soon(self._pounce, pounce.act, actor, self._dice.choice(DELAYS_S))

    async def _pounce(self, act: str, actor: str, seconds: float) -> None:
        await trio.sleep(seconds)
        if self._run.fair.is_set():
            return
        if act in ENGINE_ACTS:
            self._run.upset(act, actor)
        elif act == "stop":
            self._run.stop_now.set()
        elif act in ("reload", "reload broken"):
            self._run.daemon.reload(None if act == "reload broken" else self._run.weather.settings)
        elif act.startswith("claim"):
            await self._claim(act)
        elif act == "drop":
            for customer in self._whose(actor):
                customer.drop_attempt()
        elif act != "limit":
            self._by_client(act, actor)

    async def _claim(self, act: str) -> None:
        """Somebody has logged in, and may be given what is kept ready, while something happens to that."""
        daemon = self._run.daemon
        if not daemon.accepts():
            return
        spares = [actor.id for actor in daemon.world.actors.values() if isinstance(actor, SpareActor)]
        client = FakeClient(daemon.supervisor, self._outside)
        client.connect("192.0.2.9:40000")
        assert client.mailbox is not None
        client.mailbox.post(Authenticated(username="ann", method="publickey"))
        for _ in range(self._dice.randrange(6)):
            await trio.lowlevel.checkpoint()
        if act != "claim" and spares:
            self._run.upset(act.removeprefix("claim, "), self._dice.choice(spares))
        await trio.sleep(self._dice.choice((0.0, 1.0, 5.0)))
        client.disconnect()

    def _by_client(self, act: str, actor: str) -> None:
        """By the one whose actor it is; where it is nobody's, by anybody."""
        visits = [visit for customer in self._run.customers for visit in customer.visits]
        own = [visit for visit in visits if visit.channel.port.id == actor or actor.endswith(visit.channel.port.id[3:])]
        doings: dict[str, Callable[[Visit], None]] = {
            "resize": lambda visit: visit.resize(),
            "signal": lambda visit: visit.signal(),
            "odd": lambda visit: visit.ask_odd(),
            "ask late": lambda visit: visit.ask_late(),
            "send eof": lambda visit: visit.channel.send_eof(),
            "leave": lambda visit: visit.channel.leave(),
            "more": lambda visit: visit.ask_more(),
        }
        if act in doings:
            for visit in own or visits[-1:]:
                if not visit.channel.ended.is_set() and not visit.channel.client.silent:
                    doings[act](visit)
            return
        for customer in self._whose(actor) or self._run.customers[-1:]:
            customer.act(act)

    def _whose(self, actor: str) -> list["Customer"]:
        """The ids of a connection's actors have its own in them."""
        return [customer for customer in self._run.customers if customer.short_id and customer.short_id in actor]
