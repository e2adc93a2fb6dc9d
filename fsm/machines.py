"""All machines by name, and every event that may stand in a ledger."""

import sys
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from fsm.kernel import Kind
from protocol.base import Event, Fault

MACHINES: Mapping[str, Kind] = {}  # lands with the tables


def events(kinds: Iterable[Kind]) -> tuple[type[Event], ...]:
    """Every event of the modules that these machines' events come from: those without a row may be refused."""
    modules = {sys.modules[row.event.__module__] for kind in kinds for row in kind.rows}
    modules.add(sys.modules[Event.__module__])
    found = {value for module in modules for value in vars(module).values() if _is_event(value)}
    return tuple(sorted(found, key=lambda event: event.__name__))


def read_event(plain: Any, known: tuple[type[Event], ...]) -> Event:
    """An event from its plain values. Raises `msgspec.ValidationError` when it is none of those `known`."""
    event: Event = msgspec.convert(plain, reduce(or_, known))  # type: ignore[arg-type]
    return event


def _is_event(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Event) and value not in (Event, Fault)
