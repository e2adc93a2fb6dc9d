"""The real engine: Docker's API, which Podman's socket speaks as well. See `actors.ports.Engine` for the promises.

Two clients: one for control calls, which are short and bounded, and one for streams, pulls and waits, which are not.
Methods without an underscore are called from trio; those with one run on the asyncio side of the bridge.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from actors.bridge import aio, aio_settled
from actors.engine.client import Params, close_client, negotiate, open_client, send
from actors.engine.credentials import Credentials, from_settings, header, registry_of
from actors.engine.faults import as_faults, one_line
from actors.engine.files import archive, only_file, owner
from actors.engine.find import find_engine
from actors.engine.listing import found_containers
from actors.engine.orders import (
    DETACH_KEYS,
    ID,
    TOKEN_LABEL,
    checked_name,
    checked_reference,
    container_body,
    container_params,
    exec_body,
    exec_start_body,
    platform_text,
)
from actors.engine.pull import PullProgress, raise_stream_error
from actors.engine.stream import EngineStream, take_over
from actors.engine.tls import tls_context
from actors.ports import ContainerOrder, EngineFault, ExecOrder, Exit, FoundContainer, ImageCommand, Sink, Stream
from protocol.base import Size
from protocol.settings import DockerConnection, RegistryAuth

T = TypeVar("T")
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
NEVER = "0001-"  # the year that Go begins to count in
KILLED_STATUS = 137  # 128 + SIGKILL: the only one for which it is worth asking whether memory ran out


class DockerEngine:
    """`url` is where it is, `api` what it speaks with us."""

    def __init__(
        self, url: str, control: Docker, streams: Docker, api: tuple[int, int], http_s: float, credentials: Credentials
    ) -> None:
        self.url, self.api, self.credentials = url, api, credentials
        self._control, self._streams, self._http_s = control, streams, http_s
        self._closed = False
        self._removing: set[str] = set()  # ids: when they end, nobody wants to know how

    @classmethod
    @asynccontextmanager
    async def open(
        cls, connection: DockerConnection, http_timeout: float, credentials: Credentials | None = None
    ) -> AsyncIterator["DockerEngine"]:
        """Find the engine, agree on a version, close all at the end. Inside `bridge.open_loop`.

        Raises `EngineFault` with a sentence that says which engine, or which places were tried.
        """
        url, tls = find_engine(connection.host), tls_context(connection)
        control = await aio_settled(open_client, url, tls)
        streams = await aio_settled(open_client, url, tls)
        engine = cls(url, control, streams, (0, 0), http_timeout, credentials or Credentials())
        try:
            try:
                engine.api = await aio(negotiate, control, url, http_timeout)
            except EngineFault as fault:
                raise EngineFault(fault.fault, f"no engine at {url}: {fault.why}") from fault
            control.api_version = streams.api_version = "v{}.{}".format(*engine.api)
            yield engine
        finally:
            await engine.close()

    async def close(self) -> None:
        """Close all connections of control calls; streams that were handed out go on until they are closed."""
        if not self._closed:
            self._closed = True
            await aio_settled(close_client, self._control)
            await aio_settled(close_client, self._streams)

    async def _call(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        """From trio: one control call, bounded, and settled even if we are cancelled."""
        if self._closed:
            raise EngineFault("unavailable", "the connection to the engine is closed")
        return await aio_settled(self._bounded, fn, *args)

    async def _bounded(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        with as_faults(self._http_s):
            async with asyncio.timeout(self._http_s):
                return await fn(*args)

    async def _unbounded(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        with as_faults():
            return await fn(*args)

    async def architecture(self) -> str:
        """Of the host that the engine runs on, in the engine's words (amd64, arm64)."""
        found = await self._call(self._control.version)
        return str(found.get("Arch", ""))

    # Images.

    async def inspect_image(self, reference: str) -> str:
        found = await self._call(self._control.images.inspect, checked_reference(reference))
        with as_faults():
            return str(found["Id"])

    async def image_labels(self, reference: str) -> dict[str, str]:
        """The labels of an image. `not_found` when it is not on this host."""
        found = await self._call(self._control.images.inspect, checked_reference(reference))
        with as_faults():
            return dict((found.get("Config") or {}).get("Labels") or {})

    async def image_command(self, reference: str) -> ImageCommand:
        found = await self._call(self._control.images.inspect, checked_reference(reference))
        with as_faults():
            config = found.get("Config") or {}
            return ImageCommand(entrypoint=config.get("Entrypoint") or (), command=config.get("Cmd") or ())

    async def image_exists(self, reference: str) -> bool:
        try:
            await self.inspect_image(reference)
        except EngineFault as fault:
            if fault.fault == "not_found":
                return False
            raise
        return True

    async def pull_image(
        self, reference: str, platform: Mapping[str, Any], auth: Mapping[str, str], progress: Callable[[str], None]
    ) -> None:
        params = {"fromImage": checked_reference(reference)}
        if ":" not in reference.rpartition("/")[2] and "@" not in reference:
            params["tag"] = "latest"  # without it the engine would pull every tag there is
        if text := platform_text(platform):
            params["platform"] = text
        fields = {name: auth[name] for name in RegistryAuth.__struct_fields__ if auth.get(name)}
        who = from_settings(RegistryAuth(**fields), registry_of(reference))
        who = who or await self.credentials.find(reference, progress)
        headers = {"X-Registry-Auth": header(who)} if who else {}
        await aio(self._unbounded, self._pull, params, headers, PullProgress(reference), progress)

    async def _pull(
        self, params: Params, headers: Mapping[str, str], fold: PullProgress, progress: Callable[[str], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        timer: asyncio.TimerHandle | None = None

        def show(item: Any = None) -> None:
            nonlocal timer
            if text := fold.take(item, loop.time()):
                progress(text)
            if timer is not None:
                timer.cancel()
            timer = None if fold.due is None else loop.call_at(fold.due, show)

        try:
            async with await send(self._streams, "images/create", params, headers=headers) as response:
                async for line in response.content:
                    item = json.loads(line)
                    raise_stream_error(item)
                    show(item)
        finally:
            if timer is not None:
                timer.cancel()
        progress(fold.last())

    async def import_image(self, tar: Path, reference: str, changes: Sequence[str] = ()) -> str:
        """Make an image of one layer from a tar file and tag it; `changes` are Dockerfile lines. Returns its id."""
        # Name and tag in one: Podman does not read `tag` here, and Docker takes both ways.
        named = [("fromSrc", "-"), ("repo", checked_reference(reference))]
        params = [*named, *(("changes", line) for line in changes)]
        return await aio(self._unbounded, self._import, tar, params)

    async def _import(self, tar: Path, params: Params) -> str:
        said: Any = {}
        with tar.open("rb") as body:
            headers = {"Content-Type": "application/x-tar"}
            async with await send(self._streams, "images/create", params, body, headers) as response:
                async for line in response.content:
                    said = json.loads(line)
                    raise_stream_error(said)
        return str(said["status"])

    # Containers.

    async def create_container(self, order: ContainerOrder) -> str:
        params, body = container_params(order), container_body(order, self.api)
        return await self._call(self._create, order.name, order.token, params, body)

    async def _create(self, name: str, token: str, params: Params, body: dict[str, Any]) -> str:
        try:
            async with await send(self._control, "containers/create", params, body) as response:
                return str((await response.json())["Id"])
        except DockerError as error:
            if error.status not in (409, 500):  # Podman answers 500 to a name that is taken
                raise
            # Taken by an earlier try of ours whose answer got lost?
            found = await self._show(name)
            if found is None:
                raise
            if _labels(found).get(TOKEN_LABEL) != token:
                raise EngineFault("conflict", one_line(str(error.message))) from error
            return str(found["Id"])

    async def _show(self, name: str) -> dict[str, Any] | None:
        """The container's inspection, or None if there is none."""
        try:
            return await self._control.containers.container(name).show()
        except DockerError as error:
            if error.status == 404:
                return None
            raise

    async def attach_container(self, container: str, tty: bool, sink: Sink) -> Stream:
        params = {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1", "detachKeys": DETACH_KEYS}
        path = f"containers/{checked_name(container)}/attach"
        return await self._stream(path, params, None, tty, sink)

    async def _stream(self, path: str, params: Params, body: Any, tty: bool, sink: Sink) -> EngineStream:
        stream = await self._call(self._switch, path, params, body, tty, sink)
        stream.begin()
        return stream

    async def _switch(self, path: str, params: Params, body: Any, tty: bool, sink: Sink) -> EngineStream:
        return take_over(await send(self._streams, path, params, body, UPGRADE), tty, sink)

    async def start_container(self, container: str) -> None:
        await self._call(self._control.containers.container(checked_name(container)).start)

    async def has_been_started(self, container: str) -> bool:
        found = await self._call(self._show, checked_name(container))
        if found is None:
            raise EngineFault("not_found", f"there is no container {container}")
        with as_faults():
            return not str(found["State"]["StartedAt"]).startswith(NEVER)

    async def wait_container(self, container: str) -> Exit:
        status = await aio(self._unbounded, self._wait, checked_name(container))
        oom = status == KILLED_STATUS and container not in self._removing and await self._call(self._oom, container)
        return Exit(status=status, oom=oom)

    async def _wait(self, container: str) -> int:
        said = await self._streams.containers.container(container).wait(condition="not-running")
        if not said:
            raise EngineFault("unavailable", "the engine broke off while we waited for a container's end")
        if (said.get("Error") or {}).get("Message"):
            raise EngineFault("internal", one_line(str(said["Error"]["Message"])))
        return int(said["StatusCode"])

    async def _oom(self, container: str) -> bool:
        found = await self._show(container)
        return found is not None and bool(found["State"]["OOMKilled"])

    async def kill_container(self, container: str, signal: str) -> None:
        await self._call(self._kill, checked_name(container), signal)

    async def _kill(self, container: str, signal: str) -> None:
        async with self._running(container):
            await self._control.containers.container(container).kill(signal=signal)

    @asynccontextmanager
    async def _running(self, container: str) -> AsyncIterator[None]:
        """Inside, a 500 for what does not run is a conflict: Podman answers so, and its words are no contract."""
        try:
            yield
        except DockerError as error:
            if error.status != 500:
                raise
            found = await self._show(container)
            if found is None or found["State"]["Running"]:
                raise
            raise EngineFault("conflict", one_line(str(error.message))) from error

    async def resize_container(self, container: str, size: Size) -> None:
        await self._call(self._resize, checked_name(container), size)

    async def _resize(self, container: str, size: Size) -> None:
        await self._control.containers.container(container).resize(h=size.rows, w=size.columns)

    async def rename_container(self, container: str, name: str) -> None:
        await self._call(self._rename, checked_name(container), checked_name(name))

    async def _rename(self, container: str, name: str) -> None:
        await self._control.containers.container(container).rename(name)

    async def write_files(self, container: str, files: Mapping[str, bytes]) -> None:
        found = await self._call(self._show, checked_name(container))
        with as_faults():
            user = str((found or {})["Config"]["User"])
        passwd = await self._passwd(container) if user else ""
        params = {"path": "/", "noOverwriteDirNonDir": "1"}
        await self._call(self._put, container, params, archive(files, *owner(user, passwd)))

    async def _put(self, container: str, params: Params, tar: bytes) -> None:
        headers = {"Content-Type": "application/x-tar"}
        path = f"containers/{container}/archive"
        async with await send(self._control, path, params, tar, headers, method="PUT"):
            pass

    async def _passwd(self, container: str) -> str:
        """Empty where the image has none."""
        try:
            return only_file(await self._call(self._get, container, "/etc/passwd"))
        except EngineFault as fault:
            if fault.fault == "not_found":
                return ""
            raise

    async def _get(self, container: str, name: str) -> bytes:
        path = f"containers/{container}/archive"
        async with await send(self._control, path, {"path": name}, method="GET") as response:
            return await response.read()

    async def container_image(self, container: str) -> str:
        found = await self._call(self._show, checked_name(container))
        if found is None:
            raise EngineFault("not_found", f"there is no container {container}")
        return str(found["Image"])

    async def remove_container(self, name: str, token: str) -> None:
        await self._call(self._remove, checked_name(name), token)

    async def _remove(self, name: str, token: str) -> None:
        """By id, which no other container ever has; a name is looked up, for it may belong to another by now."""
        if not (id := name if ID.fullmatch(name) else await self._own_id(name, token)):
            return
        self._removing.add(id)
        try:
            await self._control.containers.container(id).delete(force=True, v=True)  # v: its anonymous volumes
        except DockerError as error:
            if error.status != 404:
                raise
        finally:
            self._removing.discard(id)

    async def _own_id(self, name: str, token: str) -> str:
        """Empty: there is none of that name, or it is somebody else's."""
        found = await self._show(name)
        return "" if found is None or _labels(found).get(TOKEN_LABEL) != token else str(found["Id"])

    async def list_containers(self, labels: Mapping[str, str]) -> list[FoundContainer]:
        return await self._call(self._list, {"label": [f"{name}={value}" for name, value in labels.items()]})

    async def _list(self, filters: Mapping[str, list[str]]) -> list[FoundContainer]:
        params = {"all": "1", "filters": json.dumps(filters)}
        async with await send(self._control, "containers/json", params, method="GET") as response:
            return found_containers(await response.read())

    # Execs.

    async def create_exec(self, order: ExecOrder) -> str:
        return await self._call(self._create_exec, checked_name(order.container), exec_body(order, self.api))

    async def _create_exec(self, container: str, body: dict[str, Any]) -> str:
        async with (
            self._running(container),
            await send(self._control, f"containers/{container}/exec", body=body) as response,
        ):
            return str((await response.json())["Id"])

    async def start_exec(self, exec_id: str, tty: bool, size: Size | None, sink: Sink) -> Stream:
        body = exec_start_body(tty, size, self.api)
        return await self._stream(f"exec/{checked_name(exec_id)}/start", {}, body, tty, sink)

    async def inspect_exec(self, exec_id: str) -> Exit | None:
        return await self._call(self._inspect_exec, checked_name(exec_id))

    async def _inspect_exec(self, exec_id: str) -> Exit | None:
        found = await self._control.containers.exec(exec_id).inspect()
        status = found["ExitCode"]
        if found["Running"] or status is None:
            return None
        return Exit(status=int(status), oom=status == KILLED_STATUS and await self._oom(found["ContainerID"]))

    async def resize_exec(self, exec_id: str, size: Size) -> None:
        await self._call(self._resize_exec, checked_name(exec_id), size)

    async def _resize_exec(self, exec_id: str, size: Size) -> None:
        await self._control.containers.exec(exec_id).resize(h=size.rows, w=size.columns)


def _labels(found: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels in a container's inspection."""
    labels: Mapping[str, str] = found["Config"]["Labels"] or {}
    return labels
