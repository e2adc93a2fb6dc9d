"""OpenSSH's `ssh` as a client: started, timed and waited for without any polling."""

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from benchmarks.servers import CIPHER, KEX, KEY_TYPE, USER, USER_KEY, Server

FIRST_BYTE_SECONDS_MAX = 60.0
READ_BYTES = 1024 * 1024


class ClientFailed(Exception):
    """`ssh` did not do what was asked; the text has its exit status and what it said."""


class Timing(Struct, frozen=True):
    """Seconds from the start of `ssh` to its first byte, to the end of its output, and to its own end."""

    first: float
    eof: float
    end: float
    output_bytes: int


class OpenSSH:
    """`folder` holds the keys; no configuration, agent or known hosts of the caller's are used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        options = {
            "IdentityFile": folder / USER_KEY,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "KexAlgorithms": KEX,
            "Ciphers": CIPHER,
            "HostKeyAlgorithms": KEY_TYPE,
        }
        self._options = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]

    def version(self) -> str:
        """As in `9.2p1`."""
        said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
        return said.partition("_")[2].split()[0].rstrip(",")

    def line(self, server: Server, command: str, *more: str) -> list[str]:
        """The command line."""
        return ["ssh", "-F", "none", *self._options, *more, "-p", str(server.port), f"{USER}@127.0.0.1", command]

    def run(self, server: Server, command: str, *more: str, stdin: Path = Path("/dev/null")) -> Timing:
        """One run to its end. Raises `ClientFailed` unless it exits with 0 and writes at least a byte."""
        line = self.line(server, command, *more)
        with stdin.open("rb") as source, (self.folder / "ssh.log").open("wb") as complaints:
            began = time.perf_counter()
            process = subprocess.Popen(line, stdin=source, stdout=subprocess.PIPE, stderr=complaints, bufsize=0)
            count = self._wait_for_output(process)
            first = time.perf_counter()
            count += _read_to_end(process)
            eof = time.perf_counter()
            status = process.wait()  # without a time limit: with one, Python polls
            end = time.perf_counter()
        if status != 0 or not count:
            raise ClientFailed(f"{server.name}: ssh exited with {status}: {self._said()}")
        return Timing(first - began, eof - began, end - began, count)

    @contextmanager
    def started(self, server: Server, command: str) -> Iterator[subprocess.Popen[bytes]]:
        """A client whose command has written its first byte and goes on. It is killed at the end."""
        with (self.folder / "ssh.log").open("wb") as complaints:
            process = subprocess.Popen(
                self.line(server, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints,
                bufsize=0,
            )  # fmt: skip
        try:
            if not self._wait_for_output(process):
                raise ClientFailed(f"{server.name}: no output: {self._said()}")
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    @contextmanager
    def master(self, server: Server) -> Iterator[list[str]]:
        """An open connection (ControlMaster); the words that make another `ssh` use it."""
        path = self.folder / f"master-{server.name}"
        hold = [*self.line(server, "", "-N", "-M", "-S", str(path))][:-1]
        with (self.folder / "master.log").open("wb") as complaints:
            process = subprocess.Popen(hold, stdin=subprocess.DEVNULL, stdout=complaints, stderr=complaints)
        try:
            until = time.monotonic() + FIRST_BYTE_SECONDS_MAX
            while not path.exists():
                if process.poll() is not None or time.monotonic() > until:
                    raise ClientFailed(f"{server.name}: no master: {(self.folder / 'master.log').read_text()}")
                time.sleep(0.01)
            yield ["-S", str(path)]
        finally:
            process.terminate()
            process.wait()

    def _wait_for_output(self, process: subprocess.Popen[bytes]) -> int:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], FIRST_BYTE_SECONDS_MAX)
        if not ready:
            process.kill()
        return len(os.read(process.stdout.fileno(), 1))

    def _said(self) -> str:
        return (self.folder / "ssh.log").read_text(errors="replace").strip()


def _read_to_end(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    buffer, count = bytearray(READ_BYTES), 0
    with process.stdout as output:
        while got := os.readv(output.fileno(), [buffer]):
            count += got
    return count
