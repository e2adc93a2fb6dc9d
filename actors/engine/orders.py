"""From our orders to the bodies of the engine's API. Pure: no engine is needed to test it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from actors.ports import ContainerOrder, EngineFault, ExecOrder
from protocol.base import Size

TOKEN_LABEL = "moorage.token"
CONSOLE_SIZE_SINCE = (1, 42)

# On a terminal the engine looks for these keys and drops the stream when it has seen them all; the default, Ctrl-P
# Ctrl-Q, makes every Ctrl-P wait for the next key. There is no way to have none. So: too many to be typed, and the
# first is NUL, the one control character whose effect nobody sees before the next key.
DETACH_KEYS = ",".join(["ctrl-@", "ctrl-_"] * 10)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_REFERENCE = re.compile(r"[A-Za-z0-9_.:@/+-]+")
ID = re.compile(r"[0-9a-f]{64}")  # a container's, as the engine gives them


def checked_name(name: str) -> str:
    """A container's name or id, or an exec's id, fit for a URL's path. Raises `EngineFault` (invalid)."""
    if not _NAME.fullmatch(name):
        raise EngineFault("invalid", f"not a container name: {name!r}")
    return name


def checked_reference(reference: str) -> str:
    """An image reference fit for a URL's path. Raises `EngineFault` (invalid)."""
    if not _REFERENCE.fullmatch(reference) or not all(part.strip(".") for part in reference.split("/")):
        raise EngineFault("invalid", f"not an image reference: {reference!r}")
    return reference


def platform_text(platform: Mapping[str, Any]) -> str:
    """`os[/arch[/variant]]`, or empty for "whatever fits"."""
    lower = {key.lower(): str(value) for key, value in platform.items() if value}
    if not lower:
        return ""
    parts = [lower.get("os", "linux"), lower.get("architecture", ""), lower.get("variant", "")]
    return "/".join(parts[: parts.index("")] if "" in parts else parts)


def merged_env(base: Iterable[str] | None, over: Mapping[str, str]) -> list[str]:
    """`NAME=VALUE` lines: those of `base` that `over` does not name, then `over`."""
    kept = [line for line in base or () if line.partition("=")[0] not in over]
    return [*kept, *(f"{name}={value}" for name, value in over.items())]


def container_params(order: ContainerOrder) -> dict[str, str]:
    """The query of `POST /containers/create`."""
    params = {"name": checked_name(order.name)}
    if platform := platform_text(order.platform):
        params["platform"] = platform
    return params


def container_body(order: ContainerOrder, api: tuple[int, int]) -> dict[str, Any]:
    """The body of `POST /containers/create`: the user's objects, and what we need laid over them."""
    body: dict[str, Any] = {key: value for key, value in order.container.items() if key != "Cmd"}
    body["Image"] = order.image
    body["Labels"] = {**(body.get("Labels") or {}), **order.labels, TOKEN_LABEL: order.token}
    body["Env"] = merged_env(body.get("Env"), order.env)
    body["Tty"] = order.tty
    for key in ("OpenStdin", "StdinOnce", "AttachStdin", "AttachStdout", "AttachStderr"):
        body[key] = order.stdin
    if order.command is not None:
        body["Cmd"] = list(order.command)
    if order.entrypoint is not None:
        body["Entrypoint"] = list(order.entrypoint) or [""]  # the API's way to say none
    body["HostConfig"] = _host_config(order, api)
    if order.network:
        body["NetworkingConfig"] = dict(order.network)
    return body


def _host_config(order: ContainerOrder, api: tuple[int, int]) -> dict[str, Any]:
    host = dict(order.host)
    # Every log driver but `none` writes the session's bytes, secrets and all, to the engine's disk, and costs half
    # the throughput.
    if not (host.get("LogConfig") or {}).get("Type"):
        host["LogConfig"] = {"Type": "none", "Config": {}}
    # The engine removing it by itself would race our own removal, and hide how it ended.
    host["AutoRemove"] = False
    host.update(_console_size(order.tty, order.size, api))
    return host


def exec_body(order: ExecOrder, api: tuple[int, int]) -> dict[str, Any]:
    """The body of `POST /containers/{id}/exec`."""
    body: dict[str, Any] = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": order.tty,
        "DetachKeys": DETACH_KEYS,
        "Cmd": list(order.command),
        "Env": merged_env((), order.env),
        "User": order.user,
        "WorkingDir": order.directory,
    }
    return {**body, **_console_size(order.tty, order.size, api)}


def exec_start_body(tty: bool, size: Size | None, api: tuple[int, int]) -> dict[str, Any]:
    """The body of `POST /exec/{id}/start`."""
    return {"Detach": False, "Tty": tty, **_console_size(tty, size, api)}


def _console_size(tty: bool, size: Size | None, api: tuple[int, int]) -> dict[str, list[int]]:
    """Older engines ignore it silently; there the size goes by a resize after the start."""
    if not tty or size is None or api < CONSOLE_SIZE_SINCE:
        return {}
    return {"ConsoleSize": [size.rows, size.columns]}
