"""What has to hold of any table: see `graph.py`. And that these checks see what is wrong."""

from collections.abc import Callable, Iterator

import pytest

from fsm.container_rows import CONTAINER
from fsm.kernel import Kind, Row
from fsm.machines import KINDS
from protocol.container import ContainerCreated, ContainerExited, StopWanted
from protocol.container import ContainerState as S
from tests.fsm import graph
from tests.fsm.grid import remade

Check = Callable[[Kind], Iterator[str]]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("check", graph.CHECKS.values(), ids=graph.CHECKS)
def test_tables(check: Check, kind: Kind) -> None:
    assert list(check(kind)) == []


def test_every_kind_has_its_letters_and_its_actor() -> None:
    names = {kind.name for kind in KINDS}
    assert set(graph.LETTERS) == set(graph.ACTOR_OF) == names
    assert len(set(graph.LETTERS.values())) == len(names)


def test_every_order_of_a_machine_is_worked_off_by_its_actor() -> None:
    for actor in graph.ACTORS:
        assert set(actor.outcomes) == actor.queued | actor.beside
        assert not actor.queued & actor.beside


def test_who_is_patient_exists() -> None:
    states = {(kind.name, state.name) for kind in KINDS for state in kind.states}
    assert set(graph.PATIENT) <= states


def without(*ids: str) -> Kind:
    return remade(CONTAINER, [row for row in CONTAINER.rows if row.id not in ids])


def with_row(row: Row) -> Kind:
    return remade(CONTAINER, [*CONTAINER.rows, row])


@pytest.mark.parametrize(
    ("check", "broken", "complaint"),
    [
        (graph.ids, without("CT0304"), "CT03: rows are numbered [1, 2, 10, 3, 5, 6, 7, 8, 9]"),
        (graph.ids, with_row(Row("CT304", S.CREATING, StopWanted, None)), "CT304: not CT and four digits"),
        (graph.ids, with_row(Row("CT1509", S.CREATING, StopWanted, None)), "CT1509: the rows of CREATING"),
        (graph.guards, with_row(Row("CT1509", S.REMOVING_AGAIN, StopWanted, None)), "CT1509: a row above it"),
        (
            graph.ends,
            without("CT0901", "CT0902", "CT0903", "CT0904", "CT0905", "CT0906", "CT0907", "CT0908", "CT0909", "CT0910"),
            "no way out of RUNNING",
        ),
        (graph.ends, without("CT0702", "CT0304", "CT0502"), "STARTING_AGAIN is never reached"),
        (graph.deadlines, without("CT0402"), "CREATING_AGAIN has no row for container_start"),
        (graph.outcomes, without("CT1208"), "REMOVING: no row for ContainerStarted, and StartContainer may be"),
        (graph.outcomes, without("CT1303"), "REMOVING_AGAIN: no row for ContainerExited, and AwaitExit may be"),
        (graph.outcomes, without("CT0301", "CT0302"), "CREATING: no row for ContainerCreated"),
    ],
)
def test_a_fault_in_a_table_is_seen(check: Check, broken: Kind, complaint: str) -> None:
    assert complaint in "\n".join(check(broken))


def test_an_outcome_may_only_come_where_its_order_is() -> None:
    """A row for what cannot come any more is not asked for: the engine answers in order."""
    late = {row.event for row in CONTAINER.rows if row.state is S.REMOVING_AGAIN}
    assert ContainerExited in late and ContainerCreated not in late
