"""All machines by name, and every event that may stand in a ledger."""

import sys
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from operator import or_
from typing import Any

import msgspec

from fsm.auth_rows import AUTH
from fsm.connection_rows import CONNECTION
from fsm.container_rows import CONTAINER
from fsm.image import IMAGE
from fsm.kernel import Kind
from fsm.server import SERVER
from fsm.session_rows import SESSION
from fsm.signal import SIGNAL
from fsm.spare import SPARE
from fsm.terminal import TERMINAL
from fsm.timer import TIMER
from protocol.base import Event, Fault

KINDS = (SERVER, CONNECTION, AUTH, SESSION, CONTAINER, SPARE, IMAGE, TERMINAL, SIGNAL, TIMER)
MACHINES: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}


def events(kinds: Iterable[Kind]) -> tuple[type[Event], ...]:
    """Every event of the modules that these machines' events come from; one without a row may have been refused."""
    modules = {sys.modules[row.event.__module__] for kind in kinds for row in kind.rows}
    modules.add(sys.modules[Event.__module__])
    found = {value for module in modules for value in vars(module).values() if _is_event(value)}
    return tuple(sorted(found, key=lambda event: event.__name__))


def read_event(plain: Any, known: tuple[type[Event], ...]) -> Event:
    """An event from its plain values. Raises `msgspec.ValidationError` when it is none of those `known`."""
    return _decoder(known).decode(msgspec.json.encode(plain))


@cache
def _decoder(known: tuple[type[Event], ...]) -> "msgspec.json.Decoder[Event]":
    """Looking all of them through takes far longer than reading an event."""
    return msgspec.json.Decoder(reduce(or_, known))


def _is_event(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Event) and value not in (Event, Fault)
