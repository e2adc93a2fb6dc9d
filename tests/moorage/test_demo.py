"""`moorage demo` and `moorage up`, run as a user runs them: the real engine, the real ssh, files in an empty folder."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures_engine import busybox, missing

HOME = Path(__file__).parents[2]
MOORAGE = [sys.executable, "-m", "moorage"]

pytestmark = [pytest.mark.engine, pytest.mark.openssh]


@pytest.fixture(autouse=True)
def machine(dockerd: str) -> None:
    """What both commands would bring as root is there already: a test installs nothing."""
    busybox()
    if shutil.which("ssh") is None or shutil.which("dot") is None:
        missing("no ssh or no dot (Debian: openssh-client, graphviz)")


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(HOME), "PYTHONUNBUFFERED": "1"}


def test_the_demo_shows_all_its_steps(tmp_path: Path) -> None:
    done = subprocess.run(
        [*MOORAGE, "demo", "--folder", "here"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    steps = ["moorage serve", "ssh -i", "moorage replay --explain", "moorage diagram connection", "kill -TERM"]
    places = [done.stdout.index(f"$ {step}") for step in steps]
    assert places == sorted(places)
    ahoy = r"^Ahoy from [0-9a-f]{12}, where PID 1 is (agent|sh)\n\(exit status 3\)$"
    assert re.search(ahoy, done.stdout, re.MULTILINE)
    assert re.search(r"\.jsonl: equal, \d+ steps$", done.stdout, re.MULTILINE)
    assert "class SERVING taken" in done.stdout
    assert done.stdout.endswith("(exit code 0)\n")
    assert len(list((tmp_path / "here" / "scenarios").glob("*.jsonl"))) == 1
    assert (tmp_path / "here" / "path.svg").read_text().count("<svg") >= 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Up:
    """`moorage up` in a folder; `line` is what it printed to log in with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*MOORAGE, "up"], cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = next((line.strip() for line in self.process.stdout if line.startswith("    ssh ")), "")

    def ssh(self, command: str) -> "subprocess.CompletedProcess[str]":
        words = [*shlex.split(self.line), "-o", "BatchMode=yes", command]
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder whose first run listens on a free port."""
    from moorage.first_run import prepare
    from protocol.settings import GUEST_IMAGE

    prepare(tmp_path / "var", GUEST_IMAGE, listen=f"127.0.0.1:{free_port()}")
    yield tmp_path


def test_the_printed_line_works_and_so_does_the_second_run(folder: Path) -> None:
    for _ in range(2):
        up = Up(folder)
        try:
            done = up.ssh("echo landed; exit 4")
            assert (done.returncode, done.stdout, done.stderr) == (4, "landed\n", "")
        finally:
            assert up.stop() == 0


def test_a_port_that_is_taken_is_one_sentence(folder: Path) -> None:
    up = Up(folder)
    try:
        second = subprocess.run(
            [*MOORAGE, "up"], cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=60
        )
    finally:
        up.stop()
    assert second.returncode == 1
    assert re.fullmatch(r"moorage: SSH_START_FAILED: cannot listen on 127\.0\.0\.1:\d+: .*in use.*\n", second.stderr)
