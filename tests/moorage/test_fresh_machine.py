"""The README's commands on a Debian 12 on which nothing has been installed, as a stranger types them."""

import faulthandler
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures_engine import missing
from tests.moorage.fresh_machine import CannotBe, FreshMachine

HOME = Path(__file__).parents[2]
WRONG_KEY = "rm -f /tmp/wrong; ssh-keygen -q -t ed25519 -N '' -f /tmp/wrong"

pytestmark = [pytest.mark.slow, pytest.mark.engine, pytest.mark.openssh, pytest.mark.registry]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshMachine]:
    """One for all tests here, which are therefore in the order of a stranger's first hour."""
    folder = tmp_path_factory.mktemp("fresh")
    fresh = FreshMachine(folder / "root", folder / "log")
    try:
        with fresh:
            clone = ["git", "clone", "--quiet", "--no-hardlinks", str(HOME), str(folder / "root/root/moorage")]
            subprocess.run(clone, check=True)
            yield fresh
    except CannotBe as why:
        missing(f"no fresh machine: {why}")


@pytest.fixture(autouse=True)
def patience() -> None:
    """What takes long here is apt, pip and a whole run of the tests: no hang that a traceback would explain."""
    faulthandler.cancel_dump_traceback_later()


def test_who_is_not_root_reads_what_is_missing(machine: FreshMachine) -> None:
    prepared = machine.run("useradd -m stranger && cp -r . /tmp/clone && chown -R stranger /tmp/clone")
    assert prepared.returncode == 0, prepared.stderr
    done = machine.run("cd /tmp/clone && su stranger -c 'make run'")
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        "moorage: this machine lacks python3-venv, ca-certificates (names of Debian's packages): install with "
        "`apt-get install python3-venv ca-certificates` as root, or what your system calls them, and try again"
    )


def test_make_install(machine: FreshMachine) -> None:
    done = machine.run("make install && .venv/bin/moorage --version")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("installing with apt-get: python3-venv ca-certificates\n")


def test_who_is_not_root_reads_what_make_run_needs(machine: FreshMachine) -> None:
    machine.run("cd /tmp/clone && su stranger -c 'make install'")
    done = machine.run("cd /tmp/clone && su stranger -c 'make run'")
    assert done.returncode == 2
    assert done.stderr.splitlines()[:-1][-1] == (
        "moorage: this machine lacks docker.io, busybox-static (names of Debian's packages): install with "
        "`apt-get install docker.io busybox-static` as root, or what your system calls them, and try again"
    )


class Run:
    """`make run` until Ctrl-C; `line` is what it printed to log in with, `said` all that it has printed."""

    def __init__(self, machine: FreshMachine) -> None:
        self.machine, self.said, self.line = machine, "", ""
        self.process = machine.begin("exec make run")
        for text in self.process.stdout or ():
            self.said += text
            if text.startswith("    ssh "):
                self.line = text.strip()
            if self.line and "MOORAGE_READY" in self.said:  # the log has a thread of its own: either may come first
                return
        raise AssertionError(f"it ended with {self.process.wait()}: {self.said}")

    def stop(self) -> int:
        """Ctrl-C, to all of the terminal's foreground. Make gives 2 for a recipe that did not end in order."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.said += self.process.communicate(timeout=60)[0]
        return self.process.returncode


@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_make_run(machine: FreshMachine, first: bool) -> None:
    run = Run(machine)
    try:
        assert ("installing with apt-get: docker.io busybox-static openssh-client\n" in run.said) is first
        done = machine.run(f"{run.line} 'echo landed; exit 7'")
        assert (done.returncode, done.stdout, done.stderr) == (7, "landed\n", "")
        root = machine.run(f"{run.line} 'ls -d /root/moorage /usr/bin/apt-get'")
        assert root.stdout == "", "the container sees the machine's files"
        wrong = machine.run(f"{WRONG_KEY}; {run.line.replace('var/demo_key', '/tmp/wrong')} true")
        assert wrong.returncode == 255
        assert re.search(r"^demo@127\.0\.0\.1: Permission denied \(publickey\)\.$", wrong.stderr, re.MULTILINE)
    finally:
        run.stop()
    assert "MOORAGE_STOPPED" in run.said and "Traceback" not in run.said
    assert machine.run("docker ps -aq").stdout == ""


def test_make_demo(machine: FreshMachine) -> None:
    done = machine.run("make demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(exit status 3)" in done.stdout and ".jsonl: equal, " in done.stdout
    assert "<svg" in (machine.root / "root/moorage/var/demo/path.svg").read_text()
    assert machine.run("docker ps -aq; git status --short").stdout == ""


def test_make_test(machine: FreshMachine) -> None:
    """All that `make test` runs, with nothing skipped that is of the outside, and nothing left in the clone."""
    done = machine.run("MOORAGE_REQUIRE_ENGINE=1 make test")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert machine.run("docker ps -aq; git status --short").stdout == ""
