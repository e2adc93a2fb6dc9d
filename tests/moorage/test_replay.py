"""Replay: equal, defect, other tables, unreadable; acceptance; and no byte that could crash it or slip through."""

import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from fsm.fingerprint import fingerprints
from fsm.kernel import Kind
from moorage import explain
from moorage.replay import agrees, replay, replay_command
from moorage.version import VERSION
from protocol.ledger import Line, read, write
from tests.toy import DOORS, LIFE, ROWS, Knocked, S, door, record

# A door that gives up at the first jam: other tables.
WEAK = {"door": door([row for row in ROWS if row.id != "DR0202"])}


def run(
    *paths: Path, machines: Mapping[str, Kind] = DOORS, explain: bool = False, accept: bool = False
) -> tuple[int, str]:
    out = io.StringIO()
    return replay_command([str(path) for path in paths], explain, accept, out, machines), out.getvalue()


def rewrite(path: Path, number: int, **change: object) -> None:
    """Change one line as somebody would who knows how to seal the file again."""
    scenario = read(path.read_bytes())
    lines = [replace(line, **change) if line.seq == number else line for line in scenario.lines]
    path.write_bytes(write(scenario.header, tuple(lines), "finished"))


def claim_tables(path: Path, machines: Mapping[str, Kind]) -> None:
    """Let the header say that these tables recorded it."""
    scenario = read(path.read_bytes())
    header = replace(scenario.header, fingerprint=fingerprints(machines))
    path.write_bytes(write(header, scenario.lines, "finished"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return record(tmp_path)


def test_the_same_tables_answer_equal(path: Path) -> None:
    assert run(path) == (0, f"{path}: equal, 6 steps\n")


def test_another_answer_of_the_same_tables_is_a_defect(path: Path) -> None:
    claim_tables(path, WEAK)
    code, text = run(path, machines=WEAK)
    assert code == 1
    assert "defect: 5 of 6 steps answered otherwise by the same tables" in text
    assert "line 3: actor door-1 (door), state OPENING, on toy_jammed" in text
    assert 'expected DR0202 OPENING -> OPENING, asks [{"effect":"toy_push","who":"ann","strength":2}]' in text
    assert "got      DR0203 OPENING -> GONE, asks []" in text


def test_other_tables_with_other_answers_are_named(path: Path) -> None:
    code, text = run(path, machines=WEAK)
    assert code == 3
    assert "recorded by Moorage 0.0.9, other tables since: door; that version can prove it" in text


def test_other_tables_with_equal_answers_are_a_note(path: Path) -> None:
    more = {"door": door((*ROWS, replace(ROWS[0], id="DR0303", state=S.OPEN, event=ROWS[2].event)))}
    assert run(path, machines=more) == (
        0,
        f"{path}: equal, 6 steps (recorded by Moorage 0.0.9, other tables since: door)\n",
    )


def test_a_changed_machine_that_the_file_does_not_use_is_no_matter(path: Path) -> None:
    claim_tables(path, {**WEAK, "window": DOORS["door"]})
    code, text = run(path, machines={**WEAK, "window": WEAK["door"]})
    assert (code, "by the same tables" in text) == (1, True)


def test_a_machine_that_is_no_more_is_named(path: Path) -> None:
    code, text = run(path, machines={"gate": DOORS["door"]})
    assert code == 3 and "other tables since: door" in text and "there is no machine 'door'" in text


def test_an_event_that_is_no_more_is_told(path: Path) -> None:
    rewrite(path, 3, event={"event": "toy_sung"})
    code, text = run(path)
    assert code == 1 and "Invalid value 'toy_sung'" in text


def test_a_table_that_crashes_is_told(path: Path) -> None:
    def crash(cell: object, event: object) -> tuple[()]:
        raise KeyError("oops")

    code, text = run(path, machines={"door": door([replace(ROWS[0], do=crash), *ROWS[1:]])})
    assert code == 3 and 'crashed {"error":"KeyError:' in text


def test_gaps_and_missing_ends(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert run(path) == (1, f"{path}: not whole: the end line is missing: the recording was cut short\n")
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert run(path)[0] == 1


def test_unreadable_files(path: Path, tmp_path: Path) -> None:
    (tmp_path / "new.jsonl").write_text('{"line":"header","format":9}\n')
    code, text = run(tmp_path / "new.jsonl")
    assert code == 2 and "format 9 is unknown" in text
    assert run(tmp_path / "none.jsonl") == (2, f"{tmp_path / 'none.jsonl'}: unreadable: No such file or directory\n")
    assert run(tmp_path)[0] == 2


def test_of_several_files_the_worst_counts(path: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    other = record(tmp_path / "sub")
    none = tmp_path / "none"
    assert run(path, other)[0] == 0
    assert run(path, other, none)[0] == 2
    assert run(other, none, machines=WEAK)[0] == 2
    claim_tables(path, WEAK)
    code, text = run(path, other, none, machines=WEAK)
    assert code == 1 and text.count(": ") > 3
    assert run()[0] == 0


def test_accept_rewrites_answers_and_never_events(path: Path) -> None:
    before = read(path.read_bytes())
    code, text = run(path, machines=WEAK, accept=True)
    after = read(path.read_bytes())
    assert code == 0
    assert "accepted, 5 of 6 answers rewritten, fingerprint of door" in text and text.count("expected") == 5
    assert [line.event for line in after.lines] == [line.event for line in before.lines]
    assert after.lines[1].answer["row"] == "DR0203"
    assert (after.header.moorage, after.header.fingerprint) == (VERSION, fingerprints(WEAK))
    assert (after.header.started, after.end and after.end.why) == (before.header.started, "finished")
    assert run(path, machines=WEAK) == (0, f"{path}: equal, 6 steps\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and len(list(path.parent.iterdir())) == 1


def test_accept_leaves_an_equal_file_alone(path: Path) -> None:
    before = path.read_bytes()
    assert run(path, accept=True)[0] == 0
    assert path.read_bytes() == before


def test_accept_leaves_a_damaged_file_alone(path: Path) -> None:
    data = b"".join(path.read_bytes().splitlines(keepends=True)[:-1])
    path.write_bytes(data)
    assert run(path, machines=WEAK, accept=True)[0] == 1
    assert path.read_bytes() == data


def test_accept_refuses_events_that_no_machine_takes(path: Path) -> None:
    data = path.read_bytes()
    code, text = run(path, machines={"gate": DOORS["door"]}, accept=True)
    assert code == 3 and "not accepted" in text
    assert path.read_bytes() == data


def test_accept_tells_when_it_cannot_write(path: Path) -> None:
    path.with_name(path.name + ".new").mkdir()
    code, text = run(path, machines=WEAK, accept=True)
    assert code == 2 and "not accepted: Is a directory" in text


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_any_flipped_byte_is_noticed_and_none_crashes(path: Path, data: st.DataObject) -> None:
    whole = path.with_suffix(".whole")
    if not whole.exists():
        os.link(path, whole)
    text = bytearray(whole.read_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))
    bad = path.with_suffix(".bad")
    bad.write_bytes(text)
    code, told = run(bad, explain=True)
    assert code in (1, 2) and told


# What an editor who seals the file again may write in place of any value.
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)
)


def values(thing: object) -> list[tuple[object, ...]]:
    """The way to every value in a tree of dicts and lists."""
    parts = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return [(), *((key, *way) for key, value in parts for way in values(value))]


def put(thing: object, way: tuple[object, ...], value: object) -> object:
    if not way:
        return value
    copy = dict(thing) if isinstance(thing, dict) else list(thing)  # type: ignore[call-overload]
    copy[way[0]] = put(copy[way[0]], way[1:], value)
    return copy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_another_answer_is_noticed_even_when_sealed_again(path: Path, data: st.DataObject) -> None:
    scenario = read(path.read_bytes())
    at = data.draw(st.integers(0, len(scenario.lines) - 1))
    line = scenario.lines[at]
    answer = put(line.answer, data.draw(st.sampled_from(values(line.answer))), data.draw(plain))
    changed: tuple[Line, ...] = (*scenario.lines[:at], replace(line, answer=answer), *scenario.lines[at + 1 :])
    _, differences = replay(replace(scenario, lines=changed), DOORS)
    assert bool(differences) == (answer != line.answer)
    explain.sentence(changed[at], DOORS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(data=st.data())
def test_another_event_never_crashes_it(path: Path, data: st.DataObject) -> None:
    scenario = read(path.read_bytes())
    at = data.draw(st.integers(0, len(scenario.lines) - 1))
    line = scenario.lines[at]
    event = put(line.event, data.draw(st.sampled_from(values(line.event))), data.draw(plain))
    changed = (*scenario.lines[:at], replace(line, event=event), *scenario.lines[at + 1 :])
    lines, _ = replay(replace(scenario, lines=changed), DOORS)
    assert [part.event for part in lines] == [part.event for part in changed]
    explain.sentence(changed[at], DOORS)


def test_the_story(path: Path) -> None:
    _, text = run(path, explain=True)
    assert text == STORY + f"{path}: equal, 6 steps\n"


STORY = """\
2026-01-02T12:00:00+00:00  connection c0ffee, recorded by Moorage 0.0.9
+0.000 s  door door-1 was SHUT; toy knocked (who ann, seconds open 2.5); now OPENING; asked to toy push ann 1 [DR0101]
+0.250 s  door door-1 was OPENING; toy jammed (fault internal, why rust); still OPENING; asked to toy push ann 2 \
(MOORAGE_TOY_CREAKED) [DR0202]
+0.500 s  door door-1 was OPENING; toy whistled (tune la); REFUSED, no row expects that here
+0.750 s  door door-1 was OPENING; toy opened; now OPEN; asked to wait at most 2.5 s (open) [DR0201]
+1.000 s  door door-1 was OPEN; the time for open was over, too late to matter
+1.250 s  door door-1 was OPEN; the time for open was over; now GONE (MOORAGE_TOY_SLAMMED) [DR0302]
the end: finished
"""


def test_long_and_odd_texts_stay_in_their_line(tmp_path: Path) -> None:
    odd = Knocked(who="\x1b[31m\n" + "x" * 500, seconds={})
    _, text = run(record(tmp_path, [odd, *LIFE[3:4]]), explain=True)
    assert "\x1b" not in text and "x" * 200 not in text and "…" in text
    assert len(text.splitlines()) == 5


def test_a_field_that_came_later_agrees_with_its_default() -> None:
    landed = {"effect": "tell", "to": "cn", "event": {"event": "container_landed", "container": "c", "id": "1"}}
    today = {**landed, "event": {**landed["event"], "served": False}}  # type: ignore[dict-item]
    assert agrees([today], [landed]) and agrees([today], [today])
    assert not agrees([{**today, "event": {**today["event"], "served": True}}], [landed])  # type: ignore[dict-item]
    assert not agrees([landed], [today]), "a field that is gone is another answer"
    assert not agrees([{"effect": "tell", "to": "cn"}], [landed])
    assert not agrees([], [landed])
