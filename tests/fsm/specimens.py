"""Cells and events to put the machines to the question with: for each kind one usual cell, what may differ in it, and
for each event those of its values that a guard or a maker looks at."""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from fsm.kernel import Cell, Kind
from fsm.machines import events
from protocol.auth import Answered, LoginBegun
from protocol.base import DeadlinePassed, Event, Fault, FaultClass
from protocol.connection import (
    Authenticated,
    ConnectionOpened,
    LimitPassed,
)
from protocol.container import ContainerExited, ContainerLanded, ContainerWanted
from protocol.server import Listening
from protocol.session import (
    ChannelOpened,
    ExecInspected,
    OutputEnded,
    ProgramExited,
    ProgramWanted,
    WindowChanged,
)
from protocol.signal import SignalOrdered
from protocol.spare import SpareWanted
from protocol.terminal import TerminalOpened
from protocol.timer import TimerStarted
from tests.fsm.specimen_events import BIG, FAILED, FIELDS, LANDED, OWN, PTY, SERVED, SMALL, TERMED, VARIANTS, Values
from tests.fsm.specimens_server import OWN_FIELDS


class Specimen(Struct, frozen=True):
    """`base` are the cell's usual values, `at` what else holds in one state, `variants` what may differ, by name."""

    base: Values
    variants: Mapping[str, Values] = {}
    at: Mapping[str, Values] = {}


TRIED = {"tried twice": {"tries": 2, "why": "busy"}, "tried eight times": {"tries": 8, "why": "busy"}}

SPECIMENS: Mapping[str, Specimen] = {
    "server": Specimen({"attempt": "b.1"}, at={"STARTING": {"attempt": ""}}),
    "spare": Specimen({"container": "ct"}),
    "auth": Specimen(
        {
            "given": "ann",
            "username": "ann",
            "ways": (("publickey", "totp"), ("password",), ("oidc", "password"), ("oidc",)),
            "attempt": 3,
            "factor": "password",
            "sources": ("webhook",),
        },
        {
            **TRIED,
            "a key": {"factor": "publickey", "sources": ("users", "command")},
            "a key is asked about": {"factor": "publickey", "probe": True},
            "a code behind a key": {"factor": "totp", "passed": ("publickey",), "sources": ("users",)},
            "a code too early": {"factor": "totp", "sources": ("users",)},
            "at a provider": {"factor": "oidc", "sources": ("token",)},
            "authorizes": {"authorizes": True},
            "configures": {"configures": True},
            "authorizes and configures": {"authorizes": True, "configures": True},
            "renamed": {"username": "anna"},
        },
        {
            "NEW": {"given": "", "username": "", "ways": (), "attempt": 0},
            "AUTHORIZING": {"passed": ("password",), "sources": ("authz",)},
            "AUTHORIZING_AGAIN": {"passed": ("password",), "sources": ("authz",)},
            "CONFIGURING": {"passed": ("password",), "sources": ("config",)},
            "CONFIGURING_AGAIN": {"passed": ("password",), "sources": ("config",)},
            "SHOWING": {"factor": "oidc", "sources": ("device",)},
            "POLLING": {"factor": "oidc", "sources": ("token",)},
            "PENDING": {"factor": "oidc", "sources": ("token",)},
        },
    ),
    "signal": Specimen({"session": "ss", "id": "c0", "signal": "TERM"}, TRIED),
    "timer": Specimen(
        {"connection": "cn", "allowed_s": 600.0, "quiet_s": 540.0},
        {
            "total": {"limit": "total"},
            "nobody is warned": {"warns": False},
            "total, nobody is warned": {"limit": "total", "warns": False},
        },
    ),
    "terminal": Specimen(
        {"target": "exec", "id": "e0", "wanted": SMALL, "sent": SMALL},
        {**TRIED, "a newer size waits": {"wanted": BIG}, "in a container": {"target": "container", "id": "c0"}},
    ),
    "image": Specimen(
        {"reference": "busybox:1", "waiters": ("w1",)},
        {**TRIED, "Never": {"policy": "Never"}, "two wait": {"waiters": ("w1", "w2")}},
    ),
    "container": Specimen(
        {"container": "ct", "owner": "cn", "image": "busybox:1", "id": "c0"},
        {
            **TRIED,
            "session mode": {"mode": "session", "owner": "ss"},
            "served": {"link": "socket"},
            "served, attached": {"link": "attach"},
            "session mode, served": {"mode": "session", "owner": "ss", "link": "socket"},
            "a create is lost": {"is_uncertain": True},
            "its image is remembered": {"is_remembered": True},
        },
        {
            "ABSENT": {"container": "", "owner": "", "image": "", "id": ""},
            "RESOLVING": {"id": ""},
            "PULLING": {"id": ""},
        },
    ),
    "connection": Specimen(
        {"image": "busybox:1", "called": "ct", "container": "ct", "sessions": ("ss",)},
        {
            "session mode": {"mode": "session", "container": ""},
            "no session": {"sessions": ()},
            "two sessions": {"sessions": ("ss", "s2")},
            "draining": {"drain": True},
            "draining, no session": {"drain": True, "sessions": ()},
            "landed": {"landed": LANDED},
            "failed": {"failed": FAILED},
            "with timers": {"timers": ("ti-idle", "ti-total")},
            "its time is over": {"passed": LimitPassed(code="MOORAGE_LIMIT_TOTAL", why="it is over")},
        },
        {"NEW": {"sessions": (), "image": "", "called": "", "container": ""}, "HANDSHAKING": {"sessions": ()}},
    ),
    "session": Specimen(
        {"session": "ss", "connection": "cn", "image": "busybox:1", "landed": "c0", "target": "e0"},
        {
            **TRIED,
            "not landed": {"landed": ""},
            "failed": {"failed": FAILED},
            "pty": PTY,
            "pty, no terminal": {**PTY, "terminal": ""},
            "pty, sized first": {**PTY, "can_size_first": True},
            "output ended": {"output_ended": True},
            "output broken": {"output_ended": True, "broken": "reset by peer"},
            "exited": {"exit": TERMED},
            "own": OWN,
            "own, pty": {**OWN, **PTY},
            "own, output ended": {**OWN, "output_ended": True},
            "own, exited": {**OWN, "exit": ContainerExited(status=7)},
            "own, exited by our signal": {**OWN, "exit": TERMED, "signals": ("HUP", "TERM")},
            "own, out of memory": {**OWN, "exit": ContainerExited(status=137, oom=True)},
            "connection mode, signal delivered": {"exit": TERMED, "signals": ("TERM",)},
            "own, signal delivered": {**OWN, "signals": ("TERM",)},
            "told of its refusals": {"told": ("SECURITY_TTY_REJECTED", "SECURITY_SIGNAL_REJECTED")},
            "own, signal held": {**OWN, "held": ("INT", "TERM")},
            "served": SERVED,
            "served, pty": {**SERVED, "pty": True, "size": SMALL},
            "served, exited": {**SERVED, "exited": ProgramExited(status=7)},
            "served, killed": {**SERVED, "exited": ProgramExited(signal="SEGV", core=True)},
            "served, container exited": {**SERVED, "exit": TERMED},
            "own, served": {**OWN, **SERVED},
        },
        {
            "OPEN": {"target": ""},
            "LANDING": {"landed": "", "target": ""},
            "AWAITING_EXIT": {**OWN, "output_ended": True},
            "DRAINING": {"exit": ContainerExited(status=7)},
        },
    ),
}

# What an event's field holds unless VARIANTS says otherwise.
CROSSED = (
    Answered,
    Authenticated,
    ContainerExited,
    ContainerLanded,
    ProgramExited,
    ExecInspected,
    ProgramWanted,
    OutputEnded,
    WindowChanged,
)
CROSSED_FAULTS = frozenset({"internal", "not_found"})
# What comes to a machine that is new: no cell but the usual one.
FIRST = (
    SpareWanted,
    ConnectionOpened,
    LoginBegun,
    ChannelOpened,
    ContainerWanted,
    SignalOrdered,
    TerminalOpened,
    Listening,
    TimerStarted,
)
# fmt: off
OPTIONAL = frozenset({
    "refused_by", "probe", "flaw", "limited", "wait", "core", "served", "link", "error", "bytes_in",
    "bytes_out", "oom", "taken", "admitted", "by", "client", "command", "timers", "failed", "reached",
})
# fmt: on


def samples(event: type[Event], seconds: Mapping[str, float]) -> dict[str, Event]:
    """The event with its usual values (name ''), and each of its variants. Not for `DeadlinePassed`."""
    fields = {name: FIELDS[name] for name in event.__struct_fields__ if name not in OPTIONAL and name in FIELDS}
    if "seconds" in event.__struct_fields__:
        fields["seconds"] = dict(seconds)
    usual = event(**{**fields, **OWN_FIELDS.get(event, {})})
    found = {"": usual}
    if issubclass(event, Fault):
        for fault in get_args(FaultClass):
            found[fault] = replace(usual, fault=fault)
        found["no dice"] = replace(usual, dice=0.0)
    for name, values in VARIANTS.get(event, {}).items():
        found[name] = replace(usual, **values)
    return found


# Deadlines whose length an event brings along on the way, not the first one.
OWN_LENGTH = frozenset({"backoff", "check", "poll"})


def seconds_of(kind: Kind) -> dict[str, float]:
    """Every deadline of this kind, each with a length of its own. What is not a number of the settings is not there."""
    names = {*kind.deadlines, *(("window", "signal") if kind.name == "session" else ())} - OWN_LENGTH
    return {name: 10.0 + number for number, name in enumerate(sorted(names))}


def cell_in(kind: Kind, state: Enum, values: Values) -> Cell:
    """A cell as if it had come to `state` by the rows: the deadlines whose span this is in are armed."""
    specimen = SPECIMENS[kind.name]
    cell = kind.cell()
    for name, value in {**specimen.base, **specimen.at.get(state.name, {}), **values}.items():
        assert hasattr(cell, name), f"{kind.name} has no {name}"
        setattr(cell, name, value)
    cell.state, cell.seconds = (
        state.name,
        {
            **seconds_of(kind),
            **{name: 0.5 for name in sorted(OWN_LENGTH) if name in kind.deadlines or name == "backoff"},
        },
    )
    armed = [name for name, span in kind.deadlines.items() if state.name in span]
    cell.armed, cell.arms = {name: number for number, name in enumerate(armed, 1)}, len(armed)
    return cell


def variants(kind: Kind) -> dict[str, Values]:
    return {"": {}, **SPECIMENS[kind.name].variants}


def pairs(event: type[Event], kind: Kind) -> Iterator[tuple[str, Event, str, Values]]:
    """What to put to a machine: an event with its name, and what differs in the cell with its name."""
    for of_event, sample in samples(event, seconds_of(kind)).items():
        crossed = of_event == "" or event in CROSSED or of_event in CROSSED_FAULTS
        for of_cell, values in variants(kind).items():
            if of_cell == "" or (crossed and event not in FIRST):
                yield of_event, sample, of_cell, values


def known_events(kind: Kind) -> list[type[Event]]:
    """All that may come to this kind, rows or not; `DeadlinePassed` apart."""
    return [event for event in events([kind]) if event is not DeadlinePassed]
