"""The engine's API over its unix socket with nothing in between: what it costs by itself, and cleaning up.

Nothing of Moorage's own adapter is used, for it is part of what is measured.
"""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

API = "/v1.41"
HTTP_SECONDS_MAX = 60.0
SETTLE_SECONDS_MAX = 60.0
QUIET_S = 0.05  # the engine's own clean-up goes on a little after a container has left its list
IDLE = ["/bin/sh", "-c", 'sleep infinity & PID=$!; trap "kill $PID" INT TERM; wait']


class EngineSaidNo(Exception):
    """An answer that was not expected; the text has status and body."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=HTTP_SECONDS_MAX)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(HTTP_SECONDS_MAX)
        self.sock.connect(self.path)


class Engine:
    """`label` marks every container of this run, so that only those are waited for and removed."""

    def __init__(self, socket_path: str, label: str) -> None:
        self.socket_path, self.label = socket_path, label
        self._http = UnixConnection(socket_path)

    def call(self, method: str, path: str, body: Any = None, content: str = "application/json") -> bytes:
        """One call on the connection that is kept open. Raises `EngineSaidNo`."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self._http.request(method, API + path, data, {"Content-Type": content})
        answer = self._http.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise EngineSaidNo(f"{method} {path}: {answer.status} {said[:300]!r}")
        return said

    def containers(self, *states: str, name: str = "") -> list[str]:
        """The ids of this run's containers, of all or of those in these states, and with names that begin so."""
        wanted = {"label": [self.label], **({"status": states} if states else {}), **({"name": [name]} if name else {})}
        filters = quote(json.dumps(wanted))
        return [one["Id"] for one in json.loads(self.call("GET", f"/containers/json?all=1&filters={filters}"))]

    def settle(self) -> None:
        """Return when none of this run's containers is left: a removal would slow down what is measured next."""
        until = time.monotonic() + SETTLE_SECONDS_MAX
        while left := self.containers():
            if time.monotonic() > until:
                raise EngineSaidNo(f"{len(left)} containers are still there after {SETTLE_SECONDS_MAX:.0f} s")
            time.sleep(0.02)
        time.sleep(QUIET_S)

    def create(self, image: str, command: list[str], stdin: bool = False, label: str = "") -> str:
        """A container like those that Moorage makes. Returns its id."""
        streams = dict.fromkeys(("OpenStdin", "StdinOnce", "AttachStdin", "AttachStdout", "AttachStderr"), stdin)
        host = {"NetworkMode": "none", "LogConfig": {"Type": "none", "Config": {}}}
        name, _, value = (label or self.label).partition("=")
        body = {"Image": image, "Cmd": command, "Labels": {name: value}, "HostConfig": host, **streams}
        return str(json.loads(self.call("POST", "/containers/create", body))["Id"])

    def start(self, container: str) -> None:
        self.call("POST", f"/containers/{container}/start")

    def remove(self, container: str) -> None:
        self.call("DELETE", f"/containers/{container}?force=1&v=1")

    def hijack(self, path: str, body: Any = None) -> socket.socket:
        """A call whose connection becomes the stream. It is a connection of its own, as it has to be."""
        data = b"" if body is None else json.dumps(body).encode()
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(HTTP_SECONDS_MAX)
        stream.connect(self.socket_path)
        stream.sendall(
            f"POST {API}{path} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows is the program's
            got = stream.recv(1)
            if not got:
                raise EngineSaidNo(f"POST {path}: the connection was closed")
            head += got
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise EngineSaidNo(f"POST {path}: {head[:300]!r}")
        return stream

    def exec_first_byte(self, container: str, command: str) -> None:
        """Run a command in the container and return at its first byte."""
        body = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Cmd": ["/bin/sh", "-c", command]}
        made = json.loads(self.call("POST", f"/containers/{container}/exec", body))["Id"]
        with self.hijack(f"/exec/{made}/start", {"Detach": False, "Tty": False}) as stream:
            first_byte(stream)

    def land_exec(self, image: str, command: str) -> float:
        """Seconds from nothing to the first byte of an exec in a new container: what mode `connection` asks for."""
        began = time.perf_counter()
        container = self.create(image, IDLE)
        self.start(container)
        self.exec_first_byte(container, command)
        took = time.perf_counter() - began
        self.remove(container)
        return took

    def land_program(self, image: str, command: str) -> float:
        """Seconds from nothing to the first byte of a new container's own program: what mode `session` asks for."""
        began = time.perf_counter()
        container = self.create(image, ["/bin/sh", "-c", command], stdin=True)
        with self.hijack(f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1") as stream:
            self.start(container)
            first_byte(stream)
            took = time.perf_counter() - began
        self.remove(container)
        return took

    @contextmanager
    def removals(self) -> Iterator["Removals"]:
        """Hear of this run's containers that are gone."""
        filters = quote(json.dumps({"event": ["destroy"], "label": [self.label]}))
        connection = UnixConnection(self.socket_path)
        connection.request("GET", f"{API}/events?filters={filters}")
        answer = connection.getresponse()
        try:
            yield Removals(answer)
        finally:
            connection.close()
            answer.close()

    def facts(self) -> dict[str, str]:
        """The engine's versions, for the table's head."""
        said = json.loads(self.call("GET", "/version"))
        return {"docker": said["Version"], "docker API": said["ApiVersion"]}


class Removals:
    """The stream of `destroy` events."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    def wait(self) -> float:
        """The clock (time.perf_counter) at the next container's end."""
        if not self._answer.readline():
            raise EngineSaidNo("the stream of events has ended")
        return time.perf_counter()


def first_byte(stream: socket.socket) -> None:
    """Return when output is there. The 8 bytes of the engine's frame header come with it."""
    if not stream.recv(16):
        raise EngineSaidNo("the program ended without a byte of output")
