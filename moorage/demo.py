"""`moorage demo`: the tour of the README, with the real daemon, the real ssh and the real engine."""

import json
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from moorage.debian import bring
from moorage.dockerd import bring_engine, end
from moorage.first_run import HOST_KEY, Home, as_text, prepare, ssh_line
from moorage.guest_image import make_guest_image
from protocol.settings import GUEST_IMAGE, DockerConnection

START_SECONDS_MAX = 60.0
WRITE_SECONDS_MAX = 15.0
REMARK = "# {}"
PROGRAM = "echo Ahoy from $(hostname), where PID 1 is $(cat /proc/1/comm); exit 3"
Say = Callable[[str], None]


class DemoFailed(Exception):
    """A step of the demo did not go as it should; the text is one sentence."""


def run_demo(folder: Path | None, say: Say) -> None:
    """The whole tour. Raises `DemoFailed`, `Missing`, `EngineFault`."""
    bring(["demo"], say)
    with _folder(folder) as place:
        dockerd = bring_engine(place, say=say)
        try:
            make_guest_image(DockerConnection(), GUEST_IMAGE, say)
            _tour(prepare(place, GUEST_IMAGE, listen="127.0.0.1:0"), folder is not None, say)
        finally:
            if dockerd:
                end(dockerd)


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    """The given folder, or one that is removed at the end."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="moorage-demo-") as made:
        yield Path(made)


def _tour(home: Home, stays: bool, say: Say) -> None:
    scenarios = home.folder / "scenarios"
    before = set(scenarios.glob("*.jsonl"))
    with _daemon(home, scenarios, say) as address:
        say(REMARK.format("A login with the key of the demo, a command, and its exit status:"))
        status = _show(ssh_line(home, address, [str(home.folder / HOST_KEY)], PROGRAM), say)
        say(f"(exit status {status})")
        if status != 3:
            raise DemoFailed(f"ssh ended with status {status} instead of the program's own 3")
        scenario = _recorded(scenarios, before)
        say("\n" + REMARK.format("What was recorded, told and proven: every answer is folded again from the events."))
        if _show(_moorage("replay", "--explain", str(scenario)), say) != 0:
            raise DemoFailed("the recorded scenario does not replay")
        say("\n" + REMARK.format("The way that the connection took, on the diagram of its machine:"))
        _draw(scenario, home.folder / "path.svg" if stays else None, say)


def _draw(scenario: Path, picture: Path | None, say: Say) -> None:
    """As Mermaid on the terminal; as a picture too where graphviz is and somebody can look at it afterwards."""
    if _show(_moorage("diagram", "connection", "--no-stays", "--path", str(scenario)), say) != 0:
        raise DemoFailed("the path cannot be drawn")
    if picture and shutil.which("dot"):
        if _show(_moorage("diagram", "--format", "svg", "--path", str(scenario), "-o", str(picture)), say) != 0:
            raise DemoFailed("the picture cannot be drawn")
        say(f"(a browser shows {picture})")


def _moorage(*words: str) -> list[str]:
    return [sys.executable, "-m", "moorage", *words]


def _typed(command: list[str]) -> str:
    """The command as a person would type it."""
    return "$ " + as_text(["moorage", *command[3:]] if command[:3] == _moorage() else command)


def _show(command: list[str], say: Say) -> int:
    """Print a command, run it with its output in between, and give its exit status."""
    say(_typed(command))
    sys.stdout.flush()
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


@contextmanager
def _daemon(home: Home, scenarios: Path, say: Say) -> Iterator[tuple[str, int]]:
    """`moorage serve` until the block is left; its address once it is ready."""
    _log_as_json(home)
    command = _moorage("serve", "--config", str(home.config), "--record", str(scenarios))
    say("\n" + REMARK.format("The daemon, in the background:"))
    say(f"{_typed(command)} &")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        yield _address(process)
        say("\n" + REMARK.format("The end: sessions may finish, containers are removed."))
        say(f"$ kill -TERM {process.pid}")
        process.send_signal(signal.SIGTERM)
        if status := process.wait(START_SECONDS_MAX):
            raise DemoFailed(f"the daemon ended with exit code {status}")
        say("(exit code 0)")
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
        if process.stdout:
            process.stdout.close()


def _log_as_json(home: Home) -> None:
    """The address is read from the log, and text is for eyes."""
    text = home.config.read_text()
    home.config.write_text(text.replace("\n  format: text\n", "\n  format: ljson\n"))


def _address(process: "subprocess.Popen[bytes]") -> tuple[str, int]:
    """Host and port from `details.listen` of the line that says MOORAGE_READY."""
    assert process.stdout is not None
    end_at = time.monotonic() + START_SECONDS_MAX
    while (left := end_at - time.monotonic()) > 0:
        if not select.select([process.stdout], [], [], left)[0]:
            break
        line = process.stdout.readline()
        if not line:
            raise DemoFailed(f"the daemon ended with exit code {process.wait()} before it was ready")
        said = json.loads(line)
        if said["code"] == "MOORAGE_READY":
            host, _, port = said["details"]["listen"][0].rpartition(":")
            return host, int(port)
    raise DemoFailed(f"the daemon was not ready after {START_SECONDS_MAX:.0f} s")


def _recorded(folder: Path, before: set[Path]) -> Path:
    """The scenario of the login, which is complete a moment after ssh has ended."""
    end_at = time.monotonic() + WRITE_SECONDS_MAX
    while time.monotonic() < end_at:
        if fresh := sorted(set(folder.glob("*.jsonl")) - before):
            return fresh[0]
        time.sleep(0.05)
    raise DemoFailed(f"no scenario has appeared in {folder}")
