"""Where the actors of one daemon live: found by id, told what others tell them, cleaned up behind when they end."""

import traceback
from collections.abc import Callable, Mapping
from random import Random, SystemRandom
from typing import Any

import trio

from actors.actor import Actor
from actors.ports import Agents, Engine
from actors.recorder import Recorder
from protocol import codes
from protocol.base import Event
from protocol.codes import Code

Say = Callable[[Code, Mapping[str, Any]], None]


class World:
    """What every actor is given. `nursery` is the server's own: no actor's task is a child of another's.

    `instance` outlives restarts, `boot` is this process; both go into the labels of each container. `dice` is seeded
    in simulations. Without `agents` programs are the engine's execs, or their container's own.
    """

    def __init__(
        self,
        engine: Engine,
        nursery: trio.Nursery,
        recorder: Recorder,
        say: Say,
        instance: str,
        boot: str,
        dice: Random | None = None,
        agents: Agents | None = None,
    ) -> None:
        self.engine, self.recorder, self.say = engine, recorder, say
        self.instance, self.boot = instance, boot
        self.agents = agents
        self.actors: dict[str, Actor] = {}
        self.on_empty: Callable[[], None] = lambda: None
        self.on_crash: Callable[[Actor], None] = lambda actor: None
        self.on_doubt: Callable[[], None] = lambda: None  # there may be a container soon that nobody has
        self.on_left: Callable[[Actor], None] = lambda actor: None
        self._nursery = nursery
        self._dice = dice or SystemRandom()

    def roll(self) -> float:
        """A number in [0, 1) for an event that needs one."""
        return round(self._dice.random(), 4)

    def fresh_id(self) -> str:
        """32 hex digits, as connection ids are in logs and labels."""
        return f"{self._dice.getrandbits(128):032x}"

    def start(self, fn: Callable[..., Any], *args: Any) -> None:
        """Run a task that outlives whoever asked for it."""
        self._nursery.start_soon(fn, *args)

    def spawn(self, actor: Actor, first: Event) -> None:
        """Bring an actor to life with its first event."""
        assert actor.id not in self.actors, f"{actor.id} lives already"
        self.actors[actor.id] = actor
        actor.ledger.enlist(actor.id)
        actor.post(first)
        self.start(actor.run)

    def post(self, to: str, event: Event) -> None:
        """Tell an actor. One that has ended hears nothing, and that is no error."""
        if actor := self.actors.get(to):
            actor.post(event)

    def alias(self, id: str, actor: Actor) -> None:
        """Another name by which it is found."""
        assert id not in self.actors, f"{id} lives already"
        self.actors[id] = actor

    def left(self, actor: Actor) -> None:
        """It has ended, in order or not."""
        for id in [id for id, other in self.actors.items() if other is actor]:
            del self.actors[id]
        self.on_left(actor)
        why = "" if actor.ended else f"{actor.id} did not end in order"
        actor.ledger.leave(actor.id, why)
        if not self.actors:
            self.on_empty()

    def crashed(self, actor: Actor, error: Exception) -> None:
        """An error of ours. It is logged with the last steps and ends that connection, nobody else's."""
        tail = actor.ledger.tail()
        details = {
            **actor.about,
            "actor": actor.id,
            "state": actor.cell.state,
            "error": "".join(traceback.format_exception(error))[-4000:],
            "ledger": tail[-20:],
        }
        self.say(codes.MOORAGE_ACTOR_CRASHED, details)
        self.on_crash(actor)
