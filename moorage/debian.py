"""What Moorage needs from the system, and how Debian and Ubuntu bring it.

Standard library only, and no other module of ours: the Makefile runs this file with the bare `python3` of a fresh
machine (`python3 moorage/debian.py install test`), before there is an environment to install anything into.
"""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

PYTHON_MIN = (3, 11)
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SYSTEMD = Path("/run/systemd/system")  # exists where systemd is init
SYSTEM_SOCKETS = ("/var/run/docker.sock", "/run/podman/podman.sock")
CONNECT_SECONDS_MAX = 2.0


class Missing(Exception):
    """Something is not here and we cannot bring it. The message is one sentence with the way to get it."""


class Need(NamedTuple):
    """One Debian package and how to see that it (or its like on another system) is there.

    `service` is what the package starts by itself and we do not want: the tests start their own on a free port.
    """

    package: str
    here: Callable[[], bool]
    service: str = ""


def program(name: str) -> str | None:
    """The path of a program; root's folders count, even if a user's PATH leaves them out."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SYSTEM_PATH)


def _venv_works() -> bool:
    """Debian splits `venv` from what it needs to put pip into one."""
    return find_spec("venv") is not None and find_spec("ensurepip") is not None


def _trusts_anyone() -> bool:
    """Whether there is any certificate authority to check a package index by."""
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    return bool(paths.cafile) or (folder is not None and folder.is_dir() and any(folder.iterdir()))


def is_static(path: Path) -> bool:
    """Whether `path` is a static ELF program: one whose program headers (64 or 32 bits) ask for no interpreter."""
    try:
        head = path.read_bytes()
    except OSError:
        return False
    if head[:4] != b"\x7fELF":
        return False
    order = "little" if head[5] == 1 else "big"
    wide = head[4] == 2

    def number(at: int, length: int) -> int:
        return int.from_bytes(head[at : at + length], order)  # type: ignore[arg-type]

    start = number(32, 8) if wide else number(28, 4)
    size, count = (number(54, 2), number(56, 2)) if wide else (number(42, 2), number(44, 2))
    interpreter = 3  # PT_INTERP
    return all(number(start + size * nth, 4) != interpreter for nth in range(count))


def _busybox_static() -> bool:
    found = program("busybox")
    return found is not None and is_static(Path(found))


def _standard_headers() -> bool:
    """gcc alone brings none; the sanitized agent of the tests is built with them."""
    return any(Path(folder, "stdio.h").is_file() for folder in ("/usr/include", "/usr/local/include"))


def _has(name: str) -> Callable[[], bool]:
    return lambda: program(name) is not None


def _engine_here() -> bool:
    """One that somebody named, a Docker or Podman socket with an engine behind it, or the program that makes one.

    Who is not root can start Podman for himself; root's engine is Docker.
    """
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    sockets = [*SYSTEM_SOCKETS, *([f"{own}/docker.sock", f"{own}/podman/podman.sock"] if own else [])]
    makers = ("dockerd",) if os.geteuid() == 0 else ("dockerd", "podman")
    return bool(os.environ.get("DOCKER_HOST")) or any(map(_listens, sockets)) or any(map(program, makers))


def _listens(path: str) -> bool:
    """Whether somebody is behind a unix socket; one that does not let us in is there too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plug:
        plug.settimeout(CONNECT_SECONDS_MAX)
        try:
            plug.connect(path)
        except PermissionError:
            return True
        except OSError:
            return False
    return True


VENV = (Need("python3-venv", _venv_works), Need("ca-certificates", _trusts_anyone))
BUSYBOX = Need("busybox-static", _busybox_static)
ENGINE = Need("docker.io", _engine_here)
CLIENT = Need("openssh-client", _has("ssh"))
DOT = Need("graphviz", _has("dot"))
REGISTRY = Need("docker-registry", _has("docker-registry"), service="docker-registry")
FRESH = (Need("debootstrap", _has("debootstrap")), Need("slirp4netns", _has("slirp4netns")))

COMPILER = (Need("musl-tools", _has("musl-gcc")), Need("gcc", _has("gcc")))

NETWORK = (Need("iproute2", _has("ip")), Need("iptables", _has("iptables")))
TEST = (ENGINE, BUSYBOX, CLIENT, DOT, REGISTRY, *COMPILER, Need("libc6-dev", _standard_headers), *NETWORK)

NEEDS: Mapping[str, tuple[Need, ...]] = {
    "install": VENV,
    "agent": COMPILER,
    "guest": (BUSYBOX,),
    "engine": (ENGINE,),
    "login": (CLIENT,),
    "demo": (ENGINE, BUSYBOX, CLIENT, DOT),
    "test": TEST,
    "test-all": (*TEST, *FRESH),
    "bench": (ENGINE, BUSYBOX, CLIENT, Need("openssh-server", _has("sshd"), service="ssh")),
}


# What works without: said behind what is missing.
OPTIONAL = {"agent": "until then there is no guest agent here, and programs are started by the engine's exec"}


def say_now(text: str) -> None:
    """A line that is read before what comes next, also in a file or a pipe."""
    print(text, flush=True)


def may_install() -> bool:
    """Whether what is missing can be brought here."""
    return os.geteuid() == 0 and program("apt-get") is not None


def bring(purposes: Iterable[str], say: Callable[[str], None] = say_now) -> None:
    """Install what the purposes need and is not here. Nothing missing: nothing happens, whoever asks.

    Raises `Missing`: not root, not Debian's apt, or apt failed.
    """
    needs = {need.package: need for purpose in purposes for need in NEEDS[purpose]}
    missing = [need for need in needs.values() if not need.here()]
    if not missing:
        return
    names = " ".join(need.package for need in missing)
    if not may_install():
        raise Missing(
            f"this machine lacks {names.replace(' ', ', ')} (names of Debian's packages): "
            f"install with `apt-get install {names}` as root, or what your system calls them, and try again"
        )
    say(f"installing with apt-get: {names}")
    _apt("update", "-q")
    _apt("install", "-q", "-y", "--no-install-recommends", *(need.package for need in missing))
    for need in missing:
        if need.service and SYSTEMD.is_dir():
            subprocess.run(["systemctl", "disable", "--now", need.service], check=False, capture_output=True)
    if still := [need.package for need in missing if not need.here()]:
        raise Missing(f"apt-get installed {', '.join(still)}, yet what they bring is still not found")


def _apt(*words: str) -> None:
    """One apt-get call that asks no questions. Raises `Missing` with apt's last complaint."""
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", *words]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SYSTEM_PATH}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if line.startswith("E:")] or said or ["no reason given"]
        raise Missing(f"`{' '.join(['apt-get', *words])}` failed: {errors[-1]}")


def main(purposes: list[str]) -> int:
    """`python3 moorage/debian.py PURPOSE…`: 0, or 1 and one sentence on stderr."""
    if sys.version_info < PYTHON_MIN:
        sys.stderr.write(f"moorage needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}\n")
        return 1
    try:
        bring(purposes)
    except Missing as error:
        without = "".join(f"; {OPTIONAL[purpose]}" for purpose in purposes if purpose in OPTIONAL)
        sys.stderr.write(f"moorage: {error}{without}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
