"""The log writer: what a line looks like, where it goes, and that nothing can stop or hurt the caller."""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from moorage.log_lines import LEVELS, Record, level_name, ljson, severity, syslog_line, text
from moorage.log_places import split_address
from moorage.logs import Log, LogUnavailable
from protocol import codes
from protocol.settings import Log as LogSettings
from protocol.settings import Syslog

AT = datetime(2026, 3, 4, 5, 6, 7, 89_000, tzinfo=UTC)
FILES = {"destination": "file"}


def record(**details: object) -> Record:
    return Record(AT, "notice", "MOORAGE_READY", "ready", details)


def test_ljson_is_containersshs_line() -> None:
    assert ljson(record(listen=["127.0.0.1:2222"], n=1)) == (
        '{"timestamp":"2026-03-04T05:06:07.089Z","level":"notice","code":"MOORAGE_READY","message":"ready",'
        '"details":{"listen":["127.0.0.1:2222"],"n":1}}'
    )


def test_text_has_tabs_between_its_parts() -> None:
    line = text(record(listen=("127.0.0.1:2222",), why="a b"))
    assert line == "2026-03-04T05:06:07.089Z\tnotice\tMOORAGE_READY\tready (listen=127.0.0.1:2222 why=a b)"
    assert text(record()).endswith("\tready")


@pytest.mark.parametrize("evil", ["\n", "\r", "\x1b[2J", "\x9b2J", "\x7f", "\u202e", "\u2028", "\0", "\U000e0001"])
def test_no_control_character_gets_through(evil: str) -> None:
    for line in (text(record(why=evil)), ljson(record(why=evil)), syslog_line(record(w=evil), Syslog(), "text", True)):
        assert line.replace("\t", "").isprintable()
    assert json.loads(ljson(record(why=evil)))["details"]["why"] == evil


@pytest.mark.parametrize("details", [{"why": "\ud800"}, {"why": object()}, {"why": {1, 2}}, {"why": b"\xff"}])
def test_whatever_the_details_are_there_is_a_line(details: dict[str, object]) -> None:
    line = ljson(Record(AT, "error", "X", "x", details))
    assert "details" in json.loads(line)
    assert line.isprintable()


def test_levels_by_every_name() -> None:
    assert [level_name(number) for number in range(7, -1, -1)] == list(LEVELS)
    assert level_name("critical") == level_name("CRIT") == level_name("2") == "crit"
    assert level_name("emergency") == "emerg"
    assert severity("debug") == 7 and severity("emerg") == 0
    with pytest.raises(ValueError, match="there are debug, info"):
        level_name("loud")
    for code in codes.ALL.values():
        assert level_name(code.level)


def test_syslog_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    settings = Syslog(facility="local0", tag="supervisor", pid=True)
    near = syslog_line(record(a=1), settings, "text", with_host=False)
    assert near == f"<{16 * 8 + 5}>Mar  4 05:06:07 supervisor[{os.getpid()}]: MOORAGE_READY\tready (a=1)"
    far = syslog_line(record(a=1), Syslog(), "ljson", with_host=True)
    head = rf"<{4 * 8 + 5}>Mar  4 05:06:07 {re.escape(socket.gethostname())} Moorage: (.*)"
    found = re.fullmatch(head, far)
    assert found is not None
    assert json.loads(found[1]) == {"code": "MOORAGE_READY", "message": "ready", "details": {"a": 1}}


def test_addresses() -> None:
    assert split_address("loghost") == ("loghost", 514)
    assert split_address("loghost:5514") == ("loghost", 5514)
    assert split_address("[::1]:5514") == ("::1", 5514)


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_below_the_level_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log" / "moorage.log"
    log = Log(LogSettings(destination="file", file=str(path), level="notice"))
    log.write(codes.MOORAGE_READY, {"listen": []})
    log.write(codes.SSH_CONNECTED)
    log.write(codes.SSH_CONNECTED, level="critical")
    log.close()
    assert [(line["code"], line["level"]) for line in lines_of(path)] == [
        ("MOORAGE_READY", "notice"),
        ("SSH_CONNECTED", "crit"),
    ]
    assert path.stat().st_mode & 0o777 == 0o640 & ~_umask()
    assert log.statistics() == {"written": 2, "dropped": 0, "waiting_bytes": 0}


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def until(path: Path, count: int) -> None:
    """The writer is a thread of its own: wait until it has written."""
    end = time.monotonic() + 5
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert time.monotonic() < end, f"{path} did not get {count} lines"
        time.sleep(0.002)


def test_a_rotated_file_is_begun_again(tmp_path: Path) -> None:
    path, moved = tmp_path / "moorage.log", tmp_path / "moorage.log.1"
    log = Log(LogSettings(destination="file", file=str(path)))
    log.write(codes.MOORAGE_READY)
    until(path, 1)
    path.rename(moved)
    log.reopen()
    log.write(codes.MOORAGE_STOPPED)
    log.close()
    assert [line["code"] for line in lines_of(moved)] == ["MOORAGE_READY"]
    assert [line["code"] for line in lines_of(path)] == ["MOORAGE_STOPPED"]


def test_a_file_that_cannot_be_opened_is_said_at_start(tmp_path: Path) -> None:
    with pytest.raises(LogUnavailable, match=r"cannot be written to .*Is a directory"):
        Log(LogSettings(destination="file", file=str(tmp_path)))
    with pytest.raises(LogUnavailable, match="nobody"):
        Log(LogSettings(destination="syslog", syslog=Syslog(destination=str(tmp_path / "nobody"))))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


def test_a_write_error_goes_to_stderr_and_is_said_once(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    errors = os.open(tmp_path / "stderr", os.O_WRONLY | os.O_CREAT)
    log = Log(LogSettings(), stdout=full, stderr=errors)
    log.write(codes.MOORAGE_READY)
    until(tmp_path / "stderr", 2)
    log.write(codes.MOORAGE_STOPPED)
    log.close()
    os.close(full)
    os.close(errors)
    said = lines_of(tmp_path / "stderr")
    assert [line["code"] for line in said] == ["LOG_WRITE_FAILED", "MOORAGE_READY", "MOORAGE_STOPPED"]
    assert said[0]["details"] == {"destination": "stdout", "why": "No space left on device"}
    assert log.statistics()["written"] == 0


def test_a_pipe_that_nobody_reads_stops_nobody(pipe: tuple[int, int]) -> None:
    read, write = pipe
    log = Log(LogSettings(), stdout=write, waiting_bytes_max=200_000)
    filler = "x" * 1000
    for number in range(1000):  # a megabyte, into 64 KiB of pipe and 200 kB of waiting lines
        log.write(codes.MOORAGE_READY, {"number": number, "filler": filler})
    dropped = log.statistics()["dropped"]
    assert 0 < dropped < 1000
    log.close(seconds=0.01)  # does not wait for the reader either

    taken, numbers, lost = b"", list[int](), 0
    while len(numbers) + lost < 1000:
        taken += os.read(read, 1 << 16)
        *lines, taken = taken.split(b"\n")
        for details in (json.loads(line)["details"] for line in lines):
            lost += details.get("lines", 0)
            numbers += [details["number"]] if "number" in details else []
    assert lost == dropped
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_local_syslog_and_its_daemon_begun_again(tmp_path: Path, kind: int) -> None:
    path = str(tmp_path / "log")
    log = None
    for again in (False, True):
        with socket.socket(socket.AF_UNIX, kind) as server:
            server.bind(path)
            server.settimeout(5)
            if kind == socket.SOCK_STREAM:
                server.listen()
            log = log or Log(LogSettings(destination="syslog", syslog=Syslog(destination=path)))
            if kind == socket.SOCK_STREAM and not again:
                client, _ = server.accept()
                with client:
                    log.write(codes.MOORAGE_READY)
                    assert client.recv(65536).endswith(b"}\0")
            elif kind == socket.SOCK_DGRAM:
                log.write(codes.MOORAGE_READY)
                assert b"MOORAGE_READY" in server.recv(65536)
        os.unlink(path)
    assert log is not None
    log.close()
    assert log.statistics()["dropped"] == 0


def test_syslog_over_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        place = Syslog(destination=f"127.0.0.1:{server.getsockname()[1]}")
        log = Log(LogSettings(destination="syslog", format="text", syslog=place))
        log.write(codes.MOORAGE_READY, {"why": "x" * 100_000})
        data = server.recv(65536)
        log.close()
    assert len(data) == 60_000
    assert data.startswith(b"<37>") and b" Moorage: MOORAGE_READY\tready (why=xxx" in data
