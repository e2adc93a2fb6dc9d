"""Every event that a ledger may hold has a phrase, and every phrase fits its event."""

import re

import pytest
from msgspec.structs import fields

from fsm.machines import KINDS, events
from moorage.explain import PHRASES, phrase, sentence
from protocol.base import Event
from protocol.ledger import Line

KNOWN = {str(event.__struct_config__.tag): event for event in events(KINDS)}


@pytest.mark.parametrize("event", KNOWN.values(), ids=lambda event: event.__name__)
def test_every_event_has_a_phrase_of_its_own(event: type[Event]) -> None:
    assert event.__struct_config__.tag in PHRASES


@pytest.mark.parametrize("tag", PHRASES)
def test_every_phrase_fits_its_event(tag: str) -> None:
    wanted = set(re.findall(r"\{(\w+)\}", PHRASES[tag]))
    assert wanted <= {field.encode_name for field in fields(KNOWN[tag])}


def test_values_are_told_as_people_read_them() -> None:
    wanted = {"event": "pty_wanted", "term": "xterm", "size": {"columns": 80, "rows": 24}}
    assert phrase(wanted) == "the client asked for a terminal, xterm of 80x24"
    assert (
        phrase({"event": "image_found", "image_id": "sha256:" + "ab" * 32})
        == "the engine had it as sha256:abababababab"
    )
    assert phrase({"event": "exec_inspected", "status": None}) == "the engine gave the exec's status: none yet"
    assert phrase({"event": "listening", "listen": ["a:1", "b:2"]}) == "it listened on a:1, b:2"
    first = {"event": "signal_ordered", "session": "ss-1", "id": "ab", "signal": "KILL"}
    assert phrase({"event": "toy", "first": first}) == "toy (first (ss-1 ordered signal KILL for ab))"
    assert phrase({"event": "toy", "asked": True, "given": False, "size": None}) == "toy (asked asked)"
    who = {"event": "authenticated", "username": "ann", "method": "password", "by": "", "rules": [], "template": ""}
    assert phrase(who) == "ann was let in by password"
    chosen = {**who, "rules": ["a", "b"], "template": "gpu", "why": "no"}
    assert phrase(chosen) == "ann was let in by password , rules a, b, template gpu; no"
    assert phrase({"event": "channel_closed", "why": ""}) == "the channel was closed"


@pytest.mark.parametrize(
    ("event", "answer", "told"),
    [
        (7, {"type": "stale", "source": "OPEN"}, "was OPEN; something unreadable happened, too late to matter"),
        ({"event": "all_gone"}, ["odd"], "heard: nothing was left; its answer cannot be read"),
        (
            {"event": "all_gone"},
            {"type": "moved", "row": "X", "source": "A", "target": "A", "effects": [{"to": "a"}, 7]},
            "was A; nothing was left; still A [X]",
        ),
        (
            {"event": "all_gone"},
            {"type": "moved", "row": "X", "source": "A", "target": "B", "effects": [{"effect": "exec", "tty": True}]},
            "was A; nothing was left; now B; asked to exec tty [X]",
        ),
    ],
)
def test_odd_lines_are_told_too(event: object, answer: object, told: str) -> None:
    line = Line(seq=1, clock=1.5, actor="a", machine="gate", event=event, answer=answer)
    assert sentence(line) == f"+1.500 s  gate a {told}"
