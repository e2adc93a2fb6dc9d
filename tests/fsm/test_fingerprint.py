"""A fingerprint changes with what can change an answer, and with nothing else."""

import functools
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from msgspec.structs import replace

from fsm.fingerprint import _value, fingerprint, fingerprints, name_of, plain
from fsm.kernel import Effects, Kind
from fsm.machines import MACHINES
from protocol.base import Event
from tests.toy import DOOR, ROWS, DoorCell, S, door, may_push_again, push

SOURCE = Path(__file__).parent.parent / "toy.py"


def edited(tmp_path: Path, old: str, new: str) -> ModuleType:
    """The toy with one edit in its source, loaded under the toy's own name."""
    text = SOURCE.read_text()
    assert old in text
    path = tmp_path / "toy.py"
    path.write_text(text.replace(old, new))
    spec = importlib.util.spec_from_file_location("tests.toy", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cell.tries < TRIES_MAX", "cell.tries <= TRIES_MAX"),  # a guard
        ("TRIES_MAX = 2", "TRIES_MAX = 3"),  # a constant that a guard reads
        ("cell.tries += 1", "cell.tries += 2"),  # a helper that a maker calls
        ("strength: int", "strength: float"),  # an effect's field
        ("tries: int = 0", "tries: int = 1"),  # what a cell begins with
        ("who: str\n    seconds", 'who: str = ""\n    seconds'),  # an event's field
        ("S.OPENING, Opened, S.OPEN)", "S.OPENING, Opened, S.GONE)"),
        ('"DR0301"', '"DR0303"'),
        ('(SLAMMED,), "open"', '(CREAKED,), "open"'),
        ('deadlines or {"open": (S.OPEN,)}', 'deadlines or {"open": (S.OPEN, S.OPENING)}'),
    ],
)
def test_it_changes_with_the_answers(tmp_path: Path, old: str, new: str) -> None:
    assert fingerprint(edited(tmp_path, old, new).DOOR) != fingerprint(DOOR)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    cell.tries += 1\n", "    # once more\n    cell.tries += 1\n"),
        (
            "def push(cell: DoorCell, event: Event) -> Effects:\n",
            'def push(cell: DoorCell, event: Event) -> Effects:\n    """Push."""\n',
        ),
        (
            "cell.who, cell.seconds = event.who, dict(event.seconds)",
            "(cell.who, cell.seconds) = (event.who, dict(event.seconds))",
        ),
        ("A clock that moves when told.", "A clock."),
    ],
)
def test_it_stays_with_comments_and_layout(tmp_path: Path, old: str, new: str) -> None:
    assert fingerprint(edited(tmp_path, old, new).DOOR) == fingerprint(DOOR)


def push_with(strength: int, cell: DoorCell, event: Event) -> Effects:
    return push(cell, event)[:strength]


def test_it_sees_partials_and_closures() -> None:
    def pushing(strength: int) -> Kind:
        def push_hard(cell: object, event: object) -> tuple[()]:
            assert strength
            return ()

        return door([replace(ROWS[0], do=push_hard), *ROWS[1:]])

    assert fingerprint(pushing(1)) == fingerprint(pushing(1)) != fingerprint(pushing(2))
    weak, strong = (door([replace(ROWS[0], do=functools.partial(push_with, number)), *ROWS[1:]]) for number in (1, 2))
    assert fingerprint(weak) != fingerprint(strong)


class Plain:
    """A class of ours that is no message."""

    strength = 1


def test_it_follows_classes_that_are_no_messages() -> None:
    def measure(cell: DoorCell, event: Event) -> Effects:
        assert Plain.strength and S.OPEN
        return ()

    reached: dict[str, str] = {}
    _value(measure, reached)
    assert reached[f"{__name__}.Plain"] == "class Plain:\n    strength = 1"
    assert "('GONE', 'gone')" in reached["tests.toy.DoorState"]


def test_it_sees_the_order_of_rows() -> None:
    assert fingerprint(door(ROWS[::-1])) != fingerprint(DOOR)


def test_it_sees_deadlines_that_no_row_names() -> None:
    assert fingerprint(door(deadlines={"open": (S.OPEN,), "knock": (S.OPENING,)})) != fingerprint(DOOR)


def test_it_is_the_same_in_another_process() -> None:
    code = "from fsm.fingerprint import fingerprints; from fsm.machines import MACHINES; print(fingerprints(MACHINES))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SOURCE.parent.parent, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(fingerprints(MACHINES))


def test_machines_differ_and_the_kernel_counts() -> None:
    found = fingerprints(MACHINES)
    assert set(found) == {"kernel", *MACHINES}
    assert len(set(found.values())) == len(found)


def test_the_sentence_for_the_user_counts_where_an_answer_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from protocol import codes

    before = fingerprints(MACHINES)
    other = replace(codes.DOCKER_CONTAINER_CREATE_FAILED, user="no: {why}")
    monkeypatch.setattr(codes, "DOCKER_CONTAINER_CREATE_FAILED", other)
    after = fingerprints(MACHINES)
    assert {name for name in after if after[name] != before[name]} >= {"container"}


def test_names_and_pieces() -> None:
    assert name_of(None) == ""
    assert name_of(functools.partial(may_push_again, DoorCell())) == "may_push_again"
    assert plain("    def f():  # why\n        '''text'''\n") == "def f():\n    pass"
    assert plain("  lambda: 1,)  ") == "lambda: 1,)"
