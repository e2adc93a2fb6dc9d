"""Events read back from their plain values: those of the machines that are asked for, and no others."""

import msgspec
import pytest

from fsm.container_rows import CONTAINER
from fsm.machines import KINDS, events, read_event
from protocol.base import DeadlinePassed, Event, Fault
from protocol.container import ContainerCreated
from protocol.session import OutputEnded


def test_the_events_of_a_machine_are_those_of_its_modules() -> None:
    found = set(events([CONTAINER]))
    assert {ContainerCreated, DeadlinePassed} <= found
    assert not found & {Event, Fault, OutputEnded}
    assert found < set(events(KINDS)), "others have events of their own"


def test_what_was_written_is_read_back() -> None:
    event = ContainerCreated(id="40004c3f4936")
    assert read_event(msgspec.to_builtins(event), events([CONTAINER])) == event


def test_an_event_of_another_machine_is_none() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_event({"event": "output_ended"}, events([CONTAINER]))
