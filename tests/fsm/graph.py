"""What has to hold of any table, whatever it is about. Each check takes a machine and says what is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from actors.auth import AuthActor
from actors.connection import ConnectionActor
from actors.container import ContainerActor
from actors.image import ImageActor
from actors.server import ServerActor
from actors.session import SessionActor
from actors.signal import SignalActor
from actors.spare import SpareActor
from actors.terminal import TerminalActor
from actors.timer import TimerActor
from fsm.kernel import Kind, Moved, Row
from protocol import auth, container, image
from protocol.base import DeadlinePassed, Effect, Event
from tests.fsm.grid import cases

LETTERS = {
    "server": "SV",
    "connection": "CN",
    "auth": "AU",
    "session": "SS",
    "container": "CT",
    "spare": "SP",
    "image": "IM",
    "terminal": "TM",
    "signal": "SG",
    "timer": "TI",
}
ACTORS = (
    ServerActor,
    ConnectionActor,
    AuthActor,
    SessionActor,
    ContainerActor,
    SpareActor,
    ImageActor,
    TerminalActor,
    SignalActor,
    TimerActor,
)
ACTOR_OF = {actor.kind.name: actor for actor in ACTORS}
# An order that is let go of, without an outcome, when another is asked for or has succeeded.
LETS_GO: Mapping[type[Effect] | type[Event], type[Effect]] = {
    image.CancelPull: image.PullImage,
    auth.CancelAsk: auth.Ask,
    container.ContainerRemoved: container.AwaitExit,
    container.LeaveExit: container.AwaitExit,
}

# Rows that are gone: their numbers are not used again.
RETIRED: frozenset[str] = frozenset({"CT1004", "CT1005"})

# States that wait without a deadline of their own, and why that is right.
PATIENT: Mapping[tuple[str, str], str] = {
    ("server", "STARTING"): "the composition opens the listener, or ends with a sentence",
    ("server", "SERVING"): "it serves until somebody says stop",
    ("server", "RETIRING"): "it serves the connections that it has to their end",
    ("connection", "NEW"): "its first event is there before it is",
    ("connection", "LANDING"): "the container's own budget (containerStart) ends it",
    ("connection", "SERVING"): "it waits for people",
    ("connection", "DRAINING"): "the server's grace and kill deadlines end it, or those of its own limits",
    ("auth", "NEW"): "its first event is there before it is",
    ("auth", "IDLE"): "it waits for people; the connection's login grace ends it",
    ("auth", "PROMPTING"): "it waits for people; the connection's login grace ends it",
    ("session", "OPEN"): "it waits for people; the connection's end is its own",
    ("session", "LANDING"): "the container's own budget (containerStart, commandStart) ends it",
    ("session", "RUNNING"): "it waits for a program",
    ("session", "DRAINING"): "it waits for the client to read what there is",
    ("container", "ABSENT"): "its first event is there before it is",
    ("container", "RUNNING"): "it waits for a program",
    ("spare", "EMPTY"): "its first event is there before it is",
    ("spare", "FILLING"): "the container's own budget (containerStart) ends it",
    ("image", "UNASKED"): "its first event is there before it is",
    ("image", "INSPECTING"): "each waiter brings its budget; the last one to leave ends it",
    ("image", "PULLING"): "each waiter brings its budget; the last one to leave ends it",
    ("terminal", "UNOPENED"): "its first event is there before it is",
    ("terminal", "IDLE"): "it waits for people",
    ("signal", "UNSENT"): "its first event is there before it is",
    ("timer", "NEW"): "its first event is there before it is",
    ("timer", "MEASURING"): "its own actor answers at once",
    ("timer", "MEASURING_AGAIN"): "its own actor answers at once",
}


def ids(kind: Kind) -> Iterator[str]:
    """Two letters of the kind, two digits of the state, two of the row; states and rows counted from 1 without gaps."""
    letters, numbers = LETTERS[kind.name], dict[str, str]()
    rows: dict[str, list[int]] = {}
    for row in (*kind.rows, *(_retired(kind))):
        id, state = (row, "") if isinstance(row, str) else (row.id, row.state.name)
        if not re.fullmatch(letters + r"\d{4}", id):
            yield f"{id}: not {letters} and four digits"
            continue
        if state and numbers.setdefault(state, id[2:4]) != id[2:4]:
            yield f"{id}: the rows of {state} are numbered {numbers[state]}"
        rows.setdefault(id[2:4], []).append(int(id[4:]))
    if list(numbers.values()) != [f"{number:02d}" for number in range(1, len(numbers) + 1)]:
        yield f"{kind.name}: states are numbered {list(numbers.values())}"
    for number, of_state in rows.items():
        if sorted(of_state) != list(range(1, len(of_state) + 1)):
            yield f"{letters}{number}: rows are numbered {of_state}"
    order = [row.id[:4] for row in kind.rows]
    if order != sorted(order):
        yield f"{kind.name}: rows are not grouped by state"


def _retired(kind: Kind) -> list[str]:
    return [id for id in RETIRED if id.startswith(LETTERS[kind.name])]


def guards(kind: Kind) -> Iterator[str]:
    """A row behind an unguarded one of the same state, event and deadline would never fire."""
    open_: set[object] = set()
    for row in kind.rows:
        key = (row.state, row.event, row.deadline)
        if key in open_:
            yield f"{row.id}: a row above it takes everything"
        if row.when is None:
            open_.add(key)


def ends(kind: Kind) -> Iterator[str]:
    """Every state is reached; what is not final can be left, what is final has no row; a final state is in reach."""
    ways: dict[str, set[str]] = {state.name: set() for state in kind.states}
    for row in kind.rows:
        if row.state.name in kind.final:
            yield f"{row.id}: a row of a final state"
        if row.to is not None and row.to is not row.state:
            ways[row.state.name].add(row.to.name)
    reached, todo = {kind.initial.name}, [kind.initial.name]
    while todo:
        fresh = ways[todo.pop()] - reached
        reached |= fresh
        todo += fresh
    yield from (f"{kind.name}: {state} is never reached" for state in ways if state not in reached)
    can_end = set(kind.final)
    while grown := {state for state, to in ways.items() if to & can_end} - can_end:
        can_end |= grown
    yield from (f"{kind.name}: no way out of {state}" for state in ways if state not in can_end)


def deadlines(kind: Kind) -> Iterator[str]:
    """A deadline's rows stand in its span, and every state of the span has an unguarded one."""
    have: set[tuple[str, str]] = set()
    for row in kind.rows:
        if (row.event is DeadlinePassed) != (row.deadline != ""):
            yield f"{row.id}: a deadline has a name, and nothing else has"
        elif row.deadline and row.deadline not in kind.deadlines:
            yield f"{row.id}: there is no deadline {row.deadline}"
        elif row.deadline and row.state.name not in kind.deadlines[row.deadline]:
            yield f"{row.id}: {row.deadline} does not span {row.state.name}"
        if row.deadline and row.when is None:
            have.add((row.deadline, row.state.name))
    for name, span in kind.deadlines.items():
        yield from (f"{kind.name}: {state} has no row for {name}" for state in span if (name, state) not in have)


def patience(kind: Kind) -> Iterator[str]:
    """Whatever waits has a deadline, or stands in PATIENT with the reason, and not both."""
    spanned = set(chain.from_iterable(kind.deadlines.values()))
    for state in kind.states:
        waits_for_ever = state.name not in spanned and state.name not in kind.final
        if waits_for_ever != ((kind.name, state.name) in PATIENT):
            yield f"{kind.name}: {state.name} {'waits for ever' if waits_for_ever else 'has a deadline and is excused'}"


Pending = tuple[str, tuple[type[Effect], ...], frozenset[type[Effect]]]
QUEUE_MAX = 3


def outcomes(kind: Kind) -> Iterator[str]:
    """Wherever an order may still be under way, both its outcomes have a row.

    Followed over all ways through the table, whatever the guards say: orders that are queued answer in their order,
    those beside them at any time.
    """
    actor = ACTOR_OF[kind.name]
    asks = _asks(kind)
    start: Pending = (kind.initial.name, (), frozenset())
    seen, todo, told = {start}, [start], set[str]()
    while todo:
        state, queue, beside = todo.pop()
        if state in kind.final:
            continue
        due = {queue[0], *beside} if queue else set(beside)
        for effect in due:
            for outcome in actor.outcomes[effect]:
                if not any(row.state.name == state and row.event is outcome for row in kind.rows):
                    told.add(f"{state}: no row for {outcome.__name__}, and {effect.__name__} may be under way")
        for row in kind.rows:
            if row.state.name != state:
                continue
            ordered = next((effect for effect, pair in actor.outcomes.items() if row.event in pair), None)
            if ordered is not None and ordered not in due:
                continue
            after = _after(actor, row, asks.get(row.id, ()), queue, beside, ordered)
            if len(after[1]) <= QUEUE_MAX and after not in seen:
                seen.add(after)
                todo.append(after)
    yield from sorted(told)


def _after(
    actor: type, row: Row, asked: tuple[type[Effect], ...], queue: tuple[type[Effect], ...],
    beside: frozenset[type[Effect]], answered: type[Effect] | None,
) -> Pending:  # fmt: skip
    if answered in beside:
        beside -= {answered}
    elif answered is not None:
        queue = queue[1:]
    for done in (row.event, *asked):
        if done in LETS_GO:
            beside -= {LETS_GO[done]}
    queue += tuple(effect for effect in asked if effect in actor.queued)  # type: ignore[attr-defined]
    beside |= {effect for effect in asked if effect in actor.beside}  # type: ignore[attr-defined]
    return (row.to or row.state).name, queue, beside


def _asks(kind: Kind) -> dict[str, tuple[type[Effect], ...]]:
    """Row id -> the kinds of effects that it has asked for in the grid (the longest list)."""
    found: dict[str, tuple[type[Effect], ...]] = {}
    for case in cases(kind):
        if isinstance(case.answer, Moved):
            effects = tuple(type(effect) for effect in case.answer.effects)
            if len(effects) > len(found.get(case.answer.row, ())):
                found[case.answer.row] = effects
    return found


CHECKS = {
    "ids": ids,
    "guards": guards,
    "ends": ends,
    "deadlines": deadlines,
    "patience": patience,
    "outcomes": outcomes,
}
