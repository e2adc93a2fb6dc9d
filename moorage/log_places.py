"""Where log lines go: standard output, a file, syslog. Each raises OSError and nothing else, and may block."""

import os
import select
import socket
from pathlib import Path
from typing import Protocol

DATAGRAM_BYTES_MAX = 60_000  # UDP takes 65,507; a line is cut rather than lost
SYSLOG_PORT = 514
SEND_SECONDS_MAX = 5.0


class Place(Protocol):
    def open(self) -> None:
        """Open, or open again after a rotation or an error."""

    def write(self, lines: list[str]) -> None: ...
    def close(self) -> None: ...


def _write_all(fd: int, data: bytes) -> None:
    """All of it, even to a pipe or terminal that somebody else has set to non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])


def _joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")


class Descriptor:
    """A file descriptor that is open already, and not ours to close."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def open(self) -> None: ...
    def write(self, lines: list[str]) -> None:
        _write_all(self._fd, _joined(lines))

    def close(self) -> None: ...


class File:
    """A file that is only added to. Its last folder is made; it is readable by its owner and group."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def open(self) -> None:
        self._path.parent.mkdir(mode=0o750, exist_ok=True)
        fresh = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self.close()
        self._fd = fresh

    def write(self, lines: list[str]) -> None:
        if self._fd < 0:
            self.open()
        _write_all(self._fd, _joined(lines))

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class SyslogSocket:
    """`/dev/log` or another unix socket (datagrams, or a stream where that is what listens), or UDP `host:port`."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._socket: socket.socket | None = None

    @property
    def is_remote(self) -> bool:
        return not self._destination.startswith("/")

    def open(self) -> None:
        fresh = self._remote() if self.is_remote else self._local()
        fresh.settimeout(SEND_SECONDS_MAX)
        self.close()
        self._socket = fresh

    def _local(self) -> socket.socket:
        first: OSError | None = None
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            fresh = socket.socket(socket.AF_UNIX, kind)
            try:
                fresh.connect(self._destination)
            except OSError as error:
                fresh.close()
                first = first or error
            else:
                return fresh
        raise first or OSError("no kind of socket")

    def _remote(self) -> socket.socket:
        host, port = split_address(self._destination)
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        fresh = socket.socket(family, kind, number)
        try:
            fresh.connect(address)
        except OSError:
            fresh.close()
            raise
        return fresh

    def write(self, lines: list[str]) -> None:
        for line in lines:
            self._send(line.encode(errors="backslashreplace")[:DATAGRAM_BYTES_MAX])

    def _send(self, line: bytes) -> None:
        if self._socket is None:
            self.open()
        try:
            self._send_once(line)
        except OSError:  # the syslog daemon was started again: its socket is a new one
            self.open()
            self._send_once(line)

    def _send_once(self, line: bytes) -> None:
        assert self._socket is not None
        is_stream = self._socket.type == socket.SOCK_STREAM
        self._socket.sendall(line + b"\0" if is_stream else line)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def split_address(text: str) -> tuple[str, int]:
    """`host:port`, `[::1]:514`, or a host alone with syslog's own port."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        return text.strip("[]"), SYSLOG_PORT
    return host.strip("[]"), int(port)
