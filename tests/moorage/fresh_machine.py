"""A machine on which nothing has been installed: Debian's smallest in a folder, with namespaces of its own.

It has python3, git and make, and nothing else. Its processes, mounts, hostname and network are its own, so that its
dockerd meets no other one; what it sends goes out through slirp4netns. What a site adds to reach its package
indexes (resolver, authorities, pip's settings, proxies) is taken from this machine.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PROGRAMS = ("debootstrap", "slirp4netns", "unshare", "nsenter", "pivot_root")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SITE = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/usr/local/share/ca-certificates")
SITE_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_CERT")
START_SECONDS_MAX = 20.0
# The folder becomes the root of the mount namespace (a chroot would not hold for containers), and process 1 reaps.
INIT = """
set -e
cd "$1"
mount --bind . . && cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
hostname fresh
pivot_root . mnt
exec chroot . python3 -c '
import os, signal, subprocess
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
subprocess.run(["umount", "-l", "/mnt"], check=True)
open("/run/ready", "w").close()
while True:
    signal.sigwait([signal.SIGCHLD])
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
'
"""


class CannotBe(Exception):
    """Such a machine cannot be made here; one sentence says why."""


class FreshMachine:
    """`run` runs a shell command in it and `begin` lets one go on. `root` is its folder as seen from here."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.root = folder
        self._log = log

    def __enter__(self) -> "FreshMachine":
        if os.geteuid() != 0:
            raise CannotBe("only root can make a fresh machine")
        if lacking := [name for name in PROGRAMS if shutil.which(name) is None]:
            raise CannotBe(f"no {', '.join(lacking)} (Debian: debootstrap, slirp4netns, util-linux)")
        packages = "--include=python3,git,make"
        made = subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", str(self.root), *_mirror()],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise CannotBe(f"debootstrap failed: {(made.stdout + made.stderr).strip().splitlines()[-1:]}")
        for name in filter(os.path.exists, SITE):
            target = self.root / name.lstrip("/")
            target.unlink(missing_ok=True) if target.is_symlink() or target.is_file() else None
            copy = shutil.copytree if os.path.isdir(name) else shutil.copyfile
            copy(name, target, **({"dirs_exist_ok": True} if os.path.isdir(name) else {}))
        self._start()
        return self

    def _start(self) -> None:
        words = ["--mount", "--pid", "--fork", "--net", "--ipc", "--uts", "--propagation=private", "--kill-child"]
        with self._log.open("wb") as log:
            self._outer = subprocess.Popen(
                ["unshare", *words, "bash", "-c", INIT, "init", str(self.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
            until = time.monotonic() + START_SECONDS_MAX
            while not (inner := children.read_text().split()) or not Path(f"/proc/{inner[0]}/root/run/ready").exists():
                if self._outer.poll() is not None or time.monotonic() > until:
                    raise CannotBe(f"namespaces cannot be made: {self._log.read_text().strip().splitlines()[-1:]}")
                time.sleep(0.05)
            self._init = int(inner[0])
            read, write = os.pipe()
            self._slirp = subprocess.Popen(
                ["slirp4netns", "--configure", f"--ready-fd={write}", str(self._init), "tap0"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(write,),
            )
            os.close(write)
            with os.fdopen(read, "rb") as ready:
                if not ready.read(1):
                    raise CannotBe("slirp4netns cannot give it a network")

    def command(self, line: str) -> Sequence[str]:
        """What runs `line` with sh inside: as root, in a clone of the project, HOME set to nothing."""
        variables = {name: os.environ[name] for name in SITE_VARIABLES if name in os.environ}
        inside = ["nsenter", "-t", str(self._init), "-m", "-p", "-n", "-i", "-u", "-r", "-w"]
        given = [f"{name}={value}" for name, value in {**variables, "PATH": PATH, "HOME": ""}.items()]
        return [*inside, "env", "-i", *given, "sh", "-c", f"cd /root/moorage 2>/dev/null; {line}"]

    def run(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.command(line), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def begin(self, line: str) -> "subprocess.Popen[str]":
        """In a session of its own, as from a terminal: Ctrl-C is a SIGINT for its whole process group."""
        return subprocess.Popen(
            self.command(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __exit__(self, *error: object) -> None:
        """Process 1 takes all others with it, and the last of them the mounts."""
        if hasattr(self, "_init"):
            os.kill(self._init, signal.SIGKILL)
        for process in (getattr(self, name) for name in ("_outer", "_slirp") if hasattr(self, name)):
            process.terminate()
            process.wait()
        shutil.rmtree(self.root, ignore_errors=True)


def _mirror() -> list[str]:
    """Where this machine's own Debian comes from, if apt says it; debootstrap has a default."""
    words = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", "Codename: bookworm"]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()
    return said[:1]
