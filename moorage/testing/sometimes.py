"""What must happen sometimes: each row, each class of fault, each end of a session, over many seeds.

A simulation that never gets somewhere proves nothing about that place, so what was missed is a finding.
"""

from collections.abc import Mapping
from typing import get_args

from fsm.machines import KINDS
from moorage.testing.checkers import ENDS
from moorage.testing.weather import CLASSES, ENGINE_EVENTS, End

# Why the simulation cannot get there.
EXPLAINED: Mapping[str, str] = {}


def wanted() -> list[str]:
    """All marks that a long enough simulation leaves."""
    rows = [f"row {row.id}" for kind in KINDS for row in kind.rows]
    faults = [f"fault {fault}" for fault in CLASSES]
    engine = [f"engine {kind}" for kind in ("fail", "lose", "delay", "hang", "late")]
    events = [f"event {what}" for what in ENGINE_EVENTS]
    daemons = [f"daemon {end}" for end in get_args(End)]
    return [*rows, *faults, *engine, *events, *daemons, *ENDS]


def missing(marks: Mapping[str, int]) -> list[str]:
    """What was not seen and is not explained."""
    return [mark for mark in wanted() if not marks.get(mark) and mark not in EXPLAINED]
