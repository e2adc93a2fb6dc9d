"""Every recording in `scenarios/` replays, shows what it is there for, and names nothing of a machine."""

import base64
import io
import json
import re
import socket
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from moorage.explain import story
from moorage.replay import replay_command
from protocol.ledger import read, write
from protocol.settings import Settings
from tests.e2e import record
from tests.e2e.runs import all_runs
from tests.e2e.scenarios import FOLDER, README, neutral, table
from tests.fixtures_engine import REGISTRY_LOGIN

FILES = sorted(FOLDER.rglob("*.jsonl"))
RUNS = all_runs()

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)

# Folders that only one machine has; those of the settings' defaults (/var/log, /var/lib, /usr) are not among them.
FOLDERS = re.compile(rb"/(tmp|home|root|Users|opt|srv|mnt|work|run|var/(?!log/(moorage|audit)|lib/(audit|GeoIP)))\b")
ADDRESS = re.compile(rb"\b(localhost|\d+\.\d+\.\d+\.\d+):[1-9]\d*")
DEFAULTS = {match[0] for match in ADDRESS.finditer(msgspec.json.encode(Settings()))}
BEGINNING = re.compile(rb'"event":"(connection_opened|login_begun)"')
LOGIN = ":".join(REGISTRY_LOGIN).encode()
SECRETS = (REGISTRY_LOGIN[1].encode(), b"tell-nobody", b"PRIVATE KEY", base64.b64encode(LOGIN))


@each
def test_it_replays_equal(path: Path) -> None:
    out = io.StringIO()
    assert replay_command([str(path)], False, False, out) == 0, out.getvalue()


@each
def test_its_story_is_told_and_holds_no_refusal(path: Path) -> None:
    told = list(story(read(path.read_bytes())))
    assert len(told) > 2
    assert not [line for line in told if "REFUSED, no row" in line or "unreadable" in line]


def test_each_run_has_a_scenario_and_each_scenario_a_run() -> None:
    assert {path.stem for path in FILES} == set(RUNS), "record them: make scenarios"


@each
def test_it_holds_the_rows_that_it_is_there_for(path: Path) -> None:
    RUNS[path.stem].check(read(path.read_bytes()))


@each
def test_it_names_nothing_of_a_machine(path: Path) -> None:
    """A client's address on loopback may stand where connection and login begin, and nowhere else."""
    data = path.read_bytes()
    host = socket.gethostname().encode()
    assert not re.search(rb"\b" + re.escape(host) + rb"\b", data)
    assert not FOLDERS.search(data)
    assert not [secret for secret in SECRETS if secret in data]
    lines = [line for line in data.splitlines() if not BEGINNING.search(line)]
    assert not {match[0] for line in lines for match in ADDRESS.finditer(line)} - DEFAULTS


def test_the_table_is_fresh() -> None:
    assert README.read_text() == table(RUNS), "record one of them, or all: make scenarios"


def test_other_names_leave_a_whole_recording() -> None:
    """Also where one name is the beginning of another."""
    data = FILES[0].read_bytes()
    renamed = read(neutral(data, {"alice": "bob", "ali": "no"}))
    assert not renamed.damage
    assert b"alice" in data and not any("alice" in str(line) for line in renamed.lines)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("unix:///tmp/x/docker.sock", "unix://engine.sock"), ("tcp://127.0.0.1:4711", "tcp://engine.example:2375")],
)
def test_the_engine_of_a_run_has_a_neutral_address(host: str, shown: str) -> None:
    scenario = read(FILES[0].read_bytes())
    settings = json.loads(json.dumps(scenario.header.settings))
    settings["docker"]["connection"]["host"] = host
    data = write(replace(scenario.header, settings=settings), scenario.lines, "finished")
    renamed = read(neutral(data, {}))
    assert renamed.header.settings["docker"]["connection"]["host"] == shown and not renamed.damage


def test_a_name_that_no_run_has_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert record.main(["no-such-run"]) == 2
    assert "no such run: no-such-run" in capsys.readouterr().err
