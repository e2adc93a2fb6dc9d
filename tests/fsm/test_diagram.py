"""Pictures say what the rows say: every row once, with its labels, and the way a run took."""

import re

import pytest

from fsm.diagram import Track, Visit, dot, event_label, grouped, mermaid, times
from fsm.kernel import Kind
from fsm.machines import MACHINES
from tests.toy import DOOR

WAY = Track("door-1", (Visit("DR0101", 0.0), Visit("DR0202", 0.25), Visit("DR0201", 0.75), Visit("DR9999", 1.0)))

MERMAID = """\
---
title: door machine, the way of door-1
---
stateDiagram-v2
    classDef waiting fill:#dfe7f1,stroke:#1a1a1a,color:#1a1a1a
    classDef ended fill:#e6e6e6,stroke:#1a1a1a,color:#1a1a1a
    classDef taken fill:#fbe3c8,stroke:#b3261e,color:#1a1a1a
    [*] --> SHUT
    SHUT --> OPENING: (1 at +0.000 s) DR0101 Knocked
    class SHUT taken
    OPENING --> OPEN: (3 at +0.750 s) DR0201 Opened
    OPENING --> GONE: DR0203 Jammed MOORAGE_TOY_CREAKED
    note right of OPENING
        stays on<br/>(2 at +0.250 s) DR0202 Jammed [may_push_again] MOORAGE_TOY_CREAKED
    end note
    class OPENING taken
    OPEN --> GONE: DR0302 DeadlinePassed {open} MOORAGE_TOY_SLAMMED
    note right of OPEN
        stays on<br/>DR0301 Knocked
    end note
    class OPEN taken
    GONE --> [*]
    class GONE ended
"""


def test_mermaid_golden() -> None:
    assert mermaid(DOOR, WAY) == MERMAID


def test_stays_can_be_left_out() -> None:
    assert "stays" in mermaid(DOOR) and "DR0301" in dot(DOOR)
    assert "stays" not in mermaid(DOOR, stays=False) and "DR0301" not in dot(DOOR, stays=False)


def test_the_way_is_red_and_nothing_else_is() -> None:
    text = dot(DOOR, WAY)
    arrows = re.findall(r'"(\w+)":"to_(\w+)":e -> "\w+":head(.*);', text)
    assert {(source, target): "penwidth=3" in style for source, target, style in arrows} == {
        ("SHUT", "OPENING"): True,
        ("OPENING", "OPEN"): True,
        ("OPENING", "GONE"): False,
        ("OPEN", "GONE"): False,
    }
    assert "2 at +0.250 s" in text and "penwidth=3" not in dot(DOOR)


def test_a_row_that_fired_often_tells_the_first_three_times() -> None:
    track = Track("a", tuple(Visit("DR0202", second / 2) for second in range(5)))
    assert times(DOOR.row["DR0202"], track) == "1 at +0.000 s, 2 at +0.500 s, 3 at +1.000 s, 2 more"


def test_an_actor_with_an_odd_name_cannot_break_a_picture() -> None:
    odd = Track('"];\n<b>\\', ())
    assert 'label="door machine, the way of b"' in dot(DOOR, odd)
    assert "title: door machine, the way of b\n" in mermaid(DOOR, odd)


@pytest.mark.parametrize("kind", MACHINES.values(), ids=MACHINES)
def test_every_row_is_there_once_with_its_labels(kind: Kind) -> None:
    drawn, written = dot(kind), mermaid(kind)
    for row in kind.rows:
        assert drawn.count(f">{row.id}<") == 1
        assert len(re.findall(rf"\b{row.id} {re.escape(event_label(row))}(?: |<|$)", written, re.MULTILINE)) == 1
        assert all(code.name in written and code.name in drawn for code in row.says)
    for state in kind.states:
        rows = [row for _, group in grouped(kind, state.name, True) for row in group]
        assert sorted(row.id for row in rows) == sorted(row.id for row in kind.rows if row.state == state)


@pytest.mark.parametrize("kind", MACHINES.values(), ids=MACHINES)
def test_mermaid_labels_hold_nothing_that_ends_them(kind: Kind) -> None:
    for line in mermaid(kind).splitlines()[4:]:
        if "-->" in line and ": " in line:
            assert not set(line.partition(": ")[2]) & set(':;#%"')
