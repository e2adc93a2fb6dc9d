"""What must happen sometimes: each row, each class of fault, each end of a session, over many seeds.

A simulation that never gets somewhere proves nothing about that place, so what was missed is a finding.
"""

from collections.abc import Iterator, Mapping
from typing import get_args

from fsm.kernel import Row
from fsm.machines import KINDS
from moorage.testing.checkers import ENDS
from moorage.testing.weather import CLASSES, ENGINE_EVENTS, End
from protocol.auth import Reply

# Why whole runs cannot get to a row. The walks of each machine reach it all the same.
EXPLAINED: Mapping[str, str] = {
    "SV0102": "the composition says that it listens before anybody can ask it to stop",
    "SS0130": "it is the word of dockerrun.config, which is read into the settings of another backend",
    "SS0205": "who is told of a container's end was told of its start before",
    "CN0614": "who drains refuses sessions for that, or for the limit in time, before it looks at shares",
    "CT1111": "whoever has claimed it tells it of the server's end after it has landed",
    "IM0502": "the last line of a pull is told before its failure",
}
CROSSED = "what crosses a dropped attempt is heard before anything that comes of the next one, which is no code"
CROSSING_STATES = frozenset(
    {"CHECKING_AGAIN", "PROMPTING", "SHOWING", "POLLING", "PENDING", "AUTHORIZING", "AUTHORIZING_AGAIN"}
    | {"CONFIGURING", "CONFIGURING_AGAIN"}
)
UPGRADE = "an upgrade takes two processes, and this is one"
SUCCESSION = frozenset({"UpgradeWanted", "SuccessorCame", "SuccessorReady", "SuccessorFailed"})
NO_STREAM = "the end of input is told once there is a stream, and before the end of its output"
WITHOUT_STREAM = frozenset(
    {"OPEN", "CREATING", "CREATING_AGAIN", "AWAITING_EXIT", "READING_EXIT", "READING_EXIT_AGAIN"}
)
NOT_RUNNING = "who tells a container of the server's end has heard before that it runs"
BEFORE_RUNNING = frozenset(
    {"RESOLVING", "PULLING", "CREATING", "CREATING_AGAIN", "ATTACHING", "ATTACHING_AGAIN", "STARTING", "STARTING_AGAIN"}
    | {"LINKING", "REPLACING"}
)


def why_never(row: Row) -> str:
    """Why whole runs cannot get there; empty: they can."""
    event = row.event.__name__
    if row.id[:2] == "SS" and event == "InputEnded" and row.state.name in WITHOUT_STREAM:
        return NO_STREAM
    if row.id[:2] == "CT" and event == "TerminateWanted" and row.state.name in BEFORE_RUNNING:
        return NOT_RUNNING
    if event in SUCCESSION or row.state.name in ("UPGRADING", "RETIRING"):
        return UPGRADE
    is_crossing = event in ("Answered", "AskFailed") and row.state.name in CROSSING_STATES
    if row.id[:2] == "AU" and is_crossing and (row.when is None or row.when.__name__ == "is_stale") and row.do is None:
        return CROSSED
    return EXPLAINED.get(row.id, "")


def rows() -> Iterator[Row]:
    """Every row of every machine."""
    return (row for kind in KINDS for row in kind.rows)


def wanted() -> list[str]:
    """All marks that a long enough simulation leaves."""
    reached = [f"row {row.id}" for row in rows() if not why_never(row)]
    faults = [f"fault {fault}" for fault in CLASSES]
    engine = [f"engine {kind}" for kind in ("fail", "lose", "delay", "hang", "late")]
    events = [f"event {what}" for what in ENGINE_EVENTS]
    daemons = [f"daemon {end}" for end in get_args(End)]
    logins = [f"login {reply}" for reply in (*get_args(Reply), "dropped")]
    return [*reached, *faults, *engine, *events, *daemons, *logins, *ENDS]


def missing(marks: Mapping[str, int]) -> list[str]:
    """What was not seen and is not explained."""
    return [mark for mark in wanted() if not marks.get(mark)]
