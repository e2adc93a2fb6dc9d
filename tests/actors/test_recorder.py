"""Recordings: whole, in order, private, complete with shared actors, and harmless when the disk says no."""

import os
import stat
from pathlib import Path

import msgspec
import pytest

from actors import recorder as recording_module
from actors.recorder import HELD_LINES_MAX, TAIL_LINES_MAX
from protocol.ledger import Scenario, read
from tests.toy import KNOCK, LIFE, Clock, Opened, Whistled, live, record, recorder


def only(directory: Path) -> Scenario:
    (path,) = directory.iterdir()
    scenario = read(path.read_bytes())
    assert scenario.damage == ()
    return scenario


def test_a_life_is_recorded(tmp_path: Path) -> None:
    path = record(tmp_path)
    scenario = read(path.read_bytes())
    assert path.name == "20260102T120000.000000Z-c0ffee.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert scenario.damage == ()
    assert (scenario.header.started, scenario.header.connection) == ("2026-01-02T12:00:00+00:00", "c0ffee")
    assert scenario.header.settings == {"mode": "door"}
    assert [line.clock for line in scenario.lines] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert [line.answer["type"] for line in scenario.lines] == ["moved", "moved", "refused", "moved", "stale", "moved"]
    assert scenario.lines[1].event == {"event": "toy_jammed", "fault": "internal", "why": "rust", "dice": 0.25}
    assert scenario.lines[1].answer["effects"] == [{"effect": "toy_push", "who": "ann", "strength": 2}]
    assert scenario.end is not None and scenario.end.why == "finished"


def test_the_last_actor_ends_it(tmp_path: Path) -> None:
    clock = Clock()
    made = recorder(tmp_path, clock).open("c")
    made.enlist("connection")
    made.enlist("container")
    made.leave("connection", "crashed: ValueError")
    live(made, "container", [KNOCK], clock)
    assert list(tmp_path.iterdir()) == [], "nothing is written before it is needed"
    made.leave("container")
    scenario = only(tmp_path)
    assert len(scenario.lines) == 1
    assert scenario.end is not None and scenario.end.why == "crashed: ValueError"


def test_many_lines_are_written_on_the_way_in_order(tmp_path: Path) -> None:
    clock = Clock()
    made = recorder(tmp_path, clock).open("c")
    made.enlist("a")
    live(made, "a", [Whistled(tune=str(number)) for number in range(2 * HELD_LINES_MAX + 50)], clock)
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(".jsonl.part")
    unfinished = read(part.read_bytes())
    assert len(unfinished.lines) == 2 * HELD_LINES_MAX - 1 and "end line is missing" in unfinished.damage[0]
    made.leave("a")
    tunes = [line.event["tune"] for line in only(tmp_path).lines]
    assert tunes == [str(number) for number in range(2 * HELD_LINES_MAX + 50)]


def test_a_shared_actor_is_in_every_recording_from_its_birth(tmp_path: Path) -> None:
    clock = Clock()
    all_of_them = recorder(tmp_path, clock)
    image = all_of_them.share()
    live(image, "image", LIFE[:2], clock)
    first, second = all_of_them.open("first"), all_of_them.open("second")
    for made in (first, second):
        made.enlist("c")
        made.join(image)
    first.join(image)  # asked twice, taken over once
    live(image, "image-again", LIFE[:1], clock)
    first.leave("c")
    live(image, "image-late", LIFE[:1], clock)
    second.leave("c")
    live(image, "image-too-late", LIFE[:1], clock)
    second.join(image)
    names = {}
    for path in tmp_path.iterdir():
        scenario = read(path.read_bytes())
        assert scenario.damage == ()
        names[scenario.header.connection] = [line.actor for line in scenario.lines]
        assert [line.clock for line in scenario.lines][:3] == [-0.5, -0.25, 0.0]
    assert names["first"] == ["image", "image", "image-again"]
    assert names["second"] == ["image", "image", "image-again", "image-late"]
    assert image.joined == []


def test_closing_finishes_what_is_open(tmp_path: Path) -> None:
    clock = Clock()
    all_of_them = recorder(tmp_path, clock)
    made = all_of_them.open("c")
    made.enlist("a")
    all_of_them.close()
    live(made, "a", [KNOCK], clock)
    made.leave("a")
    scenario = only(tmp_path)
    assert scenario.lines == () and scenario.end is not None and scenario.end.why == "the daemon stopped"
    assert all_of_them.recordings == set()


def test_without_a_directory_only_the_tail_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(part: object) -> bytes:
        raise AssertionError("nothing is encoded without a directory")

    monkeypatch.setattr(recording_module, "encode", refuse)
    clock = Clock()
    all_of_them = recorder(None, clock)
    made, image = all_of_them.open("c"), all_of_them.share()
    made.enlist("a")
    live(made, "a", [Whistled(tune=str(number)) for number in range(TAIL_LINES_MAX + 10)], clock)
    live(image, "image", [Whistled()] * (TAIL_LINES_MAX + 10), clock)
    tail = [msgspec.json.decode(line) for line in made.tail()]
    assert [line["event"]["tune"] for line in tail] == [str(number) for number in range(10, TAIL_LINES_MAX + 10)]
    assert tail[-1]["seq"] == TAIL_LINES_MAX + 10
    assert len(image.tail()) == len(image.entries) == TAIL_LINES_MAX
    made.join(image)
    made.leave("a")


def test_a_folder_is_made(tmp_path: Path) -> None:
    recorder(tmp_path / "deep" / "er", Clock())
    assert stat.S_IMODE((tmp_path / "deep" / "er").stat().st_mode) == 0o700


def test_no_folder_is_one_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    warnings: list[str] = []
    clock = Clock()
    all_of_them = recorder(tmp_path / "file", clock, warnings)
    for connection in ("a", "b"):
        made = all_of_them.open(connection)
        made.enlist("x")
        live(made, "x", LIFE, clock)
        made.leave("x")
    assert len(warnings) == 1 and str(tmp_path / "file") in warnings[0]


def test_a_full_disk_is_one_warning_until_it_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full answers every write with ENOSPC."""
    real_open, warnings, clock = os.open, list[str](), Clock()
    all_of_them = recorder(tmp_path, clock, warnings)

    def full(path: Path, flags: int, mode: int) -> int:
        os.close(real_open(path, flags, mode))
        return real_open("/dev/full", os.O_WRONLY)

    def run(connection: str) -> None:
        made = all_of_them.open(connection)
        made.enlist("x")
        live(made, "x", [Whistled()] * 3 * HELD_LINES_MAX, clock)
        made.leave("x")

    monkeypatch.setattr(os, "open", full)
    run("a")
    run("b")
    assert len(warnings) == 1 and "No space left" in warnings[0]
    assert {path.suffix for path in tmp_path.iterdir()} == {".part"}, (
        "what lacks lines never gets the name of a whole file"
    )
    monkeypatch.setattr(os, "open", real_open)
    run("c")
    monkeypatch.setattr(os, "open", full)
    run("d")
    assert len(warnings) == 2
    assert [read(path.read_bytes()).damage for path in tmp_path.glob("*.jsonl")] == [()]


def test_short_writes_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, bytes(data[:7])))
    record(tmp_path, [KNOCK, Opened()])
    assert len(only(tmp_path).lines) == 2


def test_a_name_that_is_taken_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "20260102T120000.000000Z-c0ffee.jsonl").mkdir()
    warnings: list[str] = []
    made = recorder(tmp_path, Clock(), warnings).open("c0ffee")
    made.enlist("x")
    made.leave("x")
    assert len(warnings) == 1 and len(list(tmp_path.glob("*.part"))) == 1


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "20260102T120000.000000Z-c0ffee.jsonl.part").write_text("evidence")
    warnings: list[str] = []
    clock = Clock()
    made = recorder(tmp_path, clock, warnings).open("c0ffee")
    made.enlist("x")
    made.leave("x")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["evidence"] and len(warnings) == 1
