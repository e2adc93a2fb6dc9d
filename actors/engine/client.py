"""Connections to one engine: aiodocker clients with connectors of our own, and the version both sides speak."""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError

from actors.engine.faults import as_faults
from actors.ports import EngineFault

API_MIN = (1, 41)  # Docker 20.10
API_KNOWN = (1, 55)  # Docker 29; newer engines are spoken to in this version
KEEP_ALIVE_SECONDS = 10.0

Params = Mapping[str, str] | Sequence[tuple[str, str]]


def _connector(url: str, tls: ssl.SSLContext | None) -> tuple[str, aiohttp.BaseConnector]:
    """aiohttp's base URL for the engine's, and its connector. Raises `EngineFault` (invalid).

    No limit on connections: the default of 100 would make the 101st waiting call wait for another to end.
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        path = parts.netloc + parts.path
        return "unix://localhost", aiohttp.UnixConnector(path, limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
    if parts.scheme in ("tcp", "http", "https") and parts.netloc:
        base = f"{'https' if tls or parts.scheme == 'https' else 'http'}://{parts.netloc}{parts.path.rstrip('/')}"
        options: dict[str, Any] = {"ssl": tls} if tls else {}
        return base, aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, **options)
    raise EngineFault("invalid", f"not an engine's address: {url!r}; unix://, tcp://, http:// or https:// is")


async def open_client(url: str, tls: ssl.SSLContext | None) -> Docker:
    """A client with a pool of its own, no time limits, and the oldest version that we speak. Asyncio side."""
    base, connector = _connector(url, tls)
    session = aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )
    return Docker(url=base, connector=connector, session=session, api_version="v{}.{}".format(*API_MIN))


async def close_client(client: Docker) -> None:
    await client.close()
    await client.session.close()


async def negotiate(client: Docker, url: str, seconds: float) -> tuple[int, int]:
    """The highest API version that the engine at `url` and we both know. Asyncio side.

    Raises `EngineFault`: unavailable or timeout when nobody answers, invalid when the engine is too old.
    """
    with as_faults(seconds):
        async with asyncio.timeout(seconds):
            answer = await client.session.get(f"{client.docker_host}/_ping", allow_redirects=False)
            async with answer:
                await answer.read()
                said = answer.headers.get("Api-Version", "")
                if answer.status != 200:
                    raise DockerError(answer.status, f"{url} answered {answer.status} to a ping")
    try:
        major, minor = (int(part) for part in said.split("."))
    except ValueError:
        raise EngineFault("internal", f"{url} does not say which API version it speaks: {said!r}") from None
    if (major, minor) < API_MIN:
        need = "{}.{}".format(*API_MIN)
        raise EngineFault("invalid", f"the engine at {url} speaks API {said}; {need} (Docker 20.10) or newer is needed")
    return min((major, minor), API_KNOWN)


async def send(
    client: Docker,
    path: str,
    params: Params = (),
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
) -> aiohttp.ClientResponse:
    """Ask what aiodocker has no method for. `body`: bytes or an open file as they are, anything else as JSON.

    Raises `DockerError` for a status of 400 or more. The caller closes the response.
    """
    if body is not None and not isinstance(body, bytes) and not hasattr(body, "read"):
        body = json.dumps(body).encode()
    response = await client.session.request(
        method,
        f"{client.docker_host}/{client.api_version}/{path}",
        params=params,
        data=body,
        headers={"Content-Type": "application/json", **(headers or {})},
        allow_redirects=False,
    )
    if response.status < 400:
        return response
    async with response:
        text = (await response.read()).decode(errors="replace")
    raise DockerError(response.status, _message(text) or f"status {response.status} {response.reason}")


def _message(text: str) -> str:
    """The engine's sentence in the body of a refusal."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, LookupError, TypeError):
        return text.strip()
