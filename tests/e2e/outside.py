"""What others do on the same engine: asked for without the code under test."""

import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from actors.engine.find import find_engine


def call(method: str, path: str, body: Any = None, host: str = "", seconds: float = 30) -> tuple[int, Any]:
    """One request to the engine: status, and the answer as JSON (None if it is empty). Raises TimeoutError."""
    text = None if body is None else json.dumps(body)
    status, said = send(method, path, text, "application/json", host, seconds)
    return status, json.loads(said) if said else None


def send(
    method: str, path: str, body: str | bytes | None, kind: str, host: str = "", seconds: float = 30
) -> tuple[int, bytes]:
    parts = urlsplit(find_engine(host))
    if parts.scheme == "unix":
        connection = http.client.HTTPConnection("engine", timeout=seconds)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(seconds)
        connection.sock.connect(parts.path)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=seconds)
    try:
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def names(labels: Mapping[str, str], host: str = "") -> set[str]:
    """Containers with all these labels, running or not."""
    filters = quote(json.dumps({"label": [f"{name}={value}" for name, value in labels.items()]}))
    status, found = call("GET", f"/containers/json?all=1&filters={filters}", host=host)
    assert status == 200, found
    return {one["Names"][0].lstrip("/") for one in found}


def exists(name: str) -> bool:
    return call("GET", f"/containers/{name}/json")[0] == 200


def is_running(name: str) -> bool:
    status, found = call("GET", f"/containers/{name}/json")
    return bool(status == 200 and found["State"]["Running"])


def start(name: str, image: str, labels: Mapping[str, str] | None = None) -> None:
    """A running container that does nothing."""
    body = {"Image": image, "Cmd": ["sleep", "infinity"], "Labels": labels or {}, "HostConfig": {"NetworkMode": "none"}}
    status, said = call("POST", f"/containers/create?name={name}", body)
    assert status == 201, said
    assert call("POST", f"/containers/{name}/start")[0] == 204


def remove(name: str) -> None:
    call("DELETE", f"/containers/{name}?force=1&v=1")


def kill(name: str, signal: str = "KILL") -> None:
    call("POST", f"/containers/{name}/kill?signal={signal}")


def pull_image(reference: str) -> None:
    status, said = send("POST", f"/images/create?{urlencode({'fromImage': reference})}", None, "application/json")
    assert status == 200 and b'"error"' not in said, said


def forget_image(reference: str) -> None:
    call("DELETE", f"/images/{reference}?force=1")


def import_image(tar: bytes, reference: str, changes: Sequence[str]) -> None:
    """An image of this root file system; `changes` in the words of a Dockerfile."""
    wanted = urlencode([("fromSrc", "-"), ("repo", reference), *(("changes", change) for change in changes)])
    status, said = send("POST", f"/images/create?{wanted}", tar, "application/x-tar")
    assert status == 200 and b'"error"' not in said, said


def has_image(reference: str) -> bool:
    return call("GET", f"/images/{reference}/json")[0] == 200


def labels(name: str) -> dict[str, str]:
    found: dict[str, str] = call("GET", f"/containers/{name}/json")[1]["Config"]["Labels"]
    return found
