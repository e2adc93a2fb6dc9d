"""An error of ours on purpose, in an actor that runs."""

from typing import Any

from actors.actor import Actor
from fsm.kernel import Answer, Cell, Kind
from protocol.base import DeadlinePassed, Event


class Boom(Exception):
    """What no table knows."""


class BrokenKind:
    """A machine whose every step is an error."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def step(self, cell: Cell, event: Event) -> Answer:
        raise Boom(type(event).__name__)


def break_(actor: Actor) -> None:
    """Its next step, which comes at once, is an error."""
    actor.kind = BrokenKind(actor.kind)  # type: ignore[misc,assignment]
    actor.post(DeadlinePassed(name="none", arm=0))
