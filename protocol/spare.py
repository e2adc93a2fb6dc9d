"""What is said to the machine of a spare: a container that runs and belongs to nobody yet; and what it asks for."""

from enum import Enum

from protocol.base import Effect, Event


class SpareState(Enum):
    EMPTY = "empty"
    FILLING = "filling"
    READY = "ready"
    CLAIMED = "claimed"
    FAILED = "failed"
    LOST = "lost"
    RETIRED = "retired"


class SpareWanted(Event, frozen=True, kw_only=True, tag="spare_wanted"):
    """The pool is to have one more. `container` is the actor that its container will have."""

    spare: str
    container: str
    image: str
    seconds: dict[str, float]


class ClaimWanted(Event, frozen=True, kw_only=True, tag="claim_wanted"):
    """`owner` (a connection or session actor) wants it, under the name `container`."""

    owner: str
    container: str


class StaleFound(Event, frozen=True, kw_only=True, tag="stale_found"):
    """A new one would not be made like this any more."""

    why: str


class HandOver(Effect, frozen=True, kw_only=True, tag="hand_over"):
    """The container is `owner`'s from now on, and is called `name`."""

    container: str
    owner: str
    name: str
