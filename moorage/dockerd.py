"""An engine to land in: the one that is there, or Docker's, installed and started here if we may.

`python -m moorage.dockerd COMMAND…` runs a command with an engine that answers, and ends a dockerd that it had to
start for it (the tests and CI use that).
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from actors.engine.find import find_engine
from actors.ports import EngineFault
from moorage.debian import SYSTEM_PATH, SYSTEMD, Missing, bring, program, say_now

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.1
ANSWER_SECONDS_MAX = 2.0
Say = Callable[[str], None]
Dockerd = subprocess.Popen[bytes]


def bring_engine(folder: Path, host: str = "", say: Say = say_now) -> Dockerd | None:
    """Make sure that an engine is there; the process if it had to be started by us and not by systemd, else None.

    `host`, or else DOCKER_HOST, is taken as it is. `folder` gets dockerd's log. Raises `Missing`.
    """
    try:
        find_engine(host)
        return None
    except EngineFault as fault:
        why = fault.why
    if os.geteuid() != 0:
        raise Missing(
            f"{why}; start one as root (`systemctl start docker`), for yourself (`systemctl --user start "
            "podman.socket`), or say where it is with DOCKER_HOST; a refused permission means: join the group docker"
        )
    if program("dockerd") is None:
        bring(["engine"], say)
    if SYSTEMD.is_dir():
        _by_systemd(say)
        return None
    return _by_ourselves(folder, say)


def _by_systemd(say: Say) -> None:
    say("starting Docker: systemctl start docker")
    done = subprocess.run(["systemctl", "start", "docker"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"`systemctl start docker` failed: {_last_line(done.stderr)}; see `journalctl -u docker`")
    _wait_until_it_answers(lambda: None, "`systemctl start docker` said it worked")


def _by_ourselves(folder: Path, say: Say) -> Dockerd:
    """No init to ask (a container, a chroot): dockerd in the background, in a session of its own."""
    path = program("dockerd")
    if path is None:
        raise Missing("there is no dockerd, and the package docker.io has not brought one")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = folder / "dockerd.log"
    say(f"starting Docker: {path} (its log: {log})")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [path],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # our terminal's Ctrl-C is not meant for it
            env={**os.environ, "PATH": os.environ.get("PATH", "") + ":" + SYSTEM_PATH},
        )

    def gave_up() -> str | None:
        return None if process.poll() is None else f"dockerd ended: {_last_line(log.read_text(errors='replace'))}"

    try:
        _wait_until_it_answers(gave_up, f"dockerd runs; its log is {log}")
    except BaseException:
        end(process)
        raise
    return process


def _wait_until_it_answers(gave_up: Callable[[], str | None], hint: str) -> None:
    end_at = time.monotonic() + START_SECONDS_MAX
    while True:
        if not (silent := _why_silent()):
            return
        if why := gave_up():
            raise Missing(f"Docker cannot run here: {why}")
        if time.monotonic() > end_at:
            raise Missing(f"Docker does not answer after {START_SECONDS_MAX:.0f} s ({silent}); {hint}")
        time.sleep(LOOK_SECONDS)


def _why_silent() -> str:
    """Empty once a request is answered: dockerd takes connections long before it knows whether it can run."""
    try:
        path = urlsplit(find_engine()).path
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plug:
            plug.settimeout(ANSWER_SECONDS_MAX)
            plug.connect(path)
            plug.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            head = plug.recv(64)
    except EngineFault as fault:
        return fault.why
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return "" if b" 200 " in head else f"{path} says {head.decode(errors='replace').splitlines()[:1]}"


def _last_line(text: str) -> str:
    """What a program said last, which is why it gave up."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def end(process: Dockerd) -> None:
    """Stop a dockerd that `bring_engine` started; its containerd ends with it."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(command: list[str]) -> int:
    """Run `command` and give its exit code. Without an engine: 1 if MOORAGE_REQUIRE_ENGINE=1, else run it without."""
    try:
        ours = bring_engine(Path("var"))
    except Missing as error:
        sys.stderr.write(f"moorage: {error}\n")
        if os.environ.get("MOORAGE_REQUIRE_ENGINE") == "1":
            return 1
        ours = None
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        if ours:
            end(ours)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
