"""What is measured: Moorage in both modes, and OpenSSH's sshd plain and with a ForceCommand. Started and ended here."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from moorage.debian import program

HOME = Path(__file__).resolve().parent.parent
USER = "bench"
HOST_KEY, USER_KEY = "host_key", "user_key"
KEX, CIPHER, KEY_TYPE = "curve25519-sha256", "aes128-gcm@openssh.com", "ssh-ed25519"
START_SECONDS_MAX = 30.0
STARTUPS_MAX = 1000

# The bind mount is seen by this sshd alone: a user with login shell dash and an empty home, and nothing of the
# machine's own accounts is changed.
IN_OWN_PASSWD = 'mount --bind "$1" /etc/passwd && shift && exec "$@"'


class CannotStart(Exception):
    """A server did not come up; the text says which and what it said."""


class Server(Struct, frozen=True):
    """A server that listens on 127.0.0.1:`port`; `pid` is its first process."""

    name: str
    port: int
    pid: int


def make_keys(folder: Path) -> None:
    """The host key and the user's key, the same for all servers."""
    for name in (HOST_KEY, USER_KEY):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)


@contextmanager
def moorage(folder: Path, mode: str, image: str, label: str, pool: int = 0, fake: bool = False) -> Iterator[Server]:
    """The daemon as anyone would start it, in one of its two modes; `pool`: so many containers are kept ready.

    `fake`: over the engine in memory.
    """
    name = f"moorage-{mode}" + ("-warm" if pool else "") + ("-fake" if fake else "")
    own = folder / name
    own.mkdir(exist_ok=True)
    key, _, value = label.partition("=")
    execution = {
        "mode": mode,
        "container": {"Image": image, "Labels": {key: value}},
        "host": {"NetworkMode": "none"},
        "imagePullPolicy": "Never",
    }
    settings = {
        "ssh": {"listen": "127.0.0.1:0", "hostkeys": [str(folder / HOST_KEY)], "maxStartups": STARTUPS_MAX},
        "docker": {"execution": execution, "pool": {"size": pool}},
        "auth": {"users": {USER: {"authorizedKeys": [str(folder / f"{USER_KEY}.pub")]}}},
        "state": str(own / "state"),
    }
    (own / "config.json").write_text(json.dumps(settings))
    words = ["benchmarks.fake_server"] if fake else ["moorage", "serve", "--config"]
    command = [sys.executable, "-m", *words, str(own / "config.json")]
    with running(name, command, own / "log") as process:
        yield Server(name, _port_in(name, own / "log", process), process.pid)


def _port_in(name: str, log: Path, process: subprocess.Popen[bytes]) -> int:
    for _ in _patience(name, log, process):
        for line in log.read_text().splitlines():
            if '"MOORAGE_READY"' in line:
                return int(json.loads(line)["details"]["listen"][0].rpartition(":")[2])
    raise AssertionError("patience ends by raising")


@contextmanager
def sshd(folder: Path, name: str, force_command: str = "") -> Iterator[Server]:
    """OpenSSH's sshd with what slows a login down switched off: PAM, DNS, message of the day, last login."""
    own = folder / name
    (own / "home").mkdir(parents=True, exist_ok=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates privileges; Debian's service makes it too
    port = free_port()
    options = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / HOST_KEY,
        "AuthorizedKeysFile": folder / f"{USER_KEY}.pub",
        "PidFile": "none",
        "UsePAM": "no",
        "UseDNS": "no",
        "StrictModes": "no",
        "PermitRootLogin": "yes",  # the user has uid 0, so that the ForceCommand may use the engine
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PrintMotd": "no",
        "PrintLastLog": "no",
        "X11Forwarding": "no",
        "KexAlgorithms": KEX,
        "Ciphers": CIPHER,
        "MaxStartups": STARTUPS_MAX,
        "MaxSessions": STARTUPS_MAX,
    }
    if force_command:
        options["ForceCommand"] = force_command
    (own / "config").write_text("".join(f"{key} {value}\n" for key, value in options.items()))
    accounts = Path("/etc/passwd").read_text()
    (own / "passwd").write_text(f"{accounts}{USER}:x:0:0::{own / 'home'}:{program('dash')}\n")
    (own / "passwd").chmod(0o644)
    daemon = [str(program("sshd")), "-D", "-e", "-f", str(own / "config")]
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_OWN_PASSWD, "sh", own / "passwd"]
    with running(name, [*map(str, command), *daemon], own / "log") as process:
        for _ in _patience(name, own / "log", process):
            if "Server listening" in (own / "log").read_text():
                break
        yield Server(name, port, process.pid)


def docker_run(socket_path: str, image: str, label: str) -> str:
    """The ForceCommand that people write first: one `docker run` a session."""
    words = f"--rm -i --network none --log-driver none --label {shlex.quote(label)} {shlex.quote(image)}"
    return f'docker -H unix://{socket_path} run {words} sh -c "$SSH_ORIGINAL_COMMAND"'


def docker_exec(socket_path: str, container: str) -> str:
    """The ForceCommand into a container that runs already."""
    return f'docker -H unix://{socket_path} exec -i {container} sh -c "$SSH_ORIGINAL_COMMAND"'


@contextmanager
def running(name: str, command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, its output in a file; TERM at the end, and its exit is awaited."""
    environment: Mapping[str, str] = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=HOME, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _patience(name: str, log: Path, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Turns of waiting for a server to come up. Raises `CannotStart` when it has ended, or it takes too long."""
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        yield
        time.sleep(0.02)
    raise CannotStart(f"{name} did not start: {log.read_text()[-1000:]}")


def free_port() -> int:
    """A port of the loopback that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
