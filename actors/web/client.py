"""One web service: where it is, how to trust it and be trusted by it, and what its failures are called."""

import base64
import json
import ssl
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import aiohttp
from msgspec import Struct

from actors.bridge import aio
from actors.ports import OutsideFault
from actors.web.tls import choose
from protocol.base import FaultClass
from protocol.settings_http import HttpClient

BODY_BYTES_MAX = 1024 * 1024
TEXT_CHARS_MAX = 200
_CLASS_OF: dict[int, FaultClass] = {400: "invalid", 401: "denied", 403: "denied", 404: "not_found", 409: "conflict"}


class Response(Struct, frozen=True):
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Raises `OutsideFault` (invalid) for anything but an object."""
        try:
            tree = json.loads(self.body)
        except (ValueError, RecursionError):
            tree = None
        if not isinstance(tree, dict):
            raise OutsideFault("invalid", f"the answer (status {self.status}) is no JSON object")
        return tree


def status_fault(status: int) -> OutsideFault:
    """What a status other than 200 means for asking again."""
    fault: FaultClass = "unavailable" if status in (408, 429) or status > 500 else "internal"
    if 300 <= status < 500 and fault == "internal":
        fault = _CLASS_OF.get(status, "invalid")
    return OutsideFault(fault, f"it answered with status {status}")


def tls_context(http: HttpClient) -> ssl.SSLContext:
    """From PEM texts or names of files. Raises `ValueError` with a sentence, or OSError."""
    authority = _pem(http.cacert)
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cadata=authority or None)
    choose(context, http)
    if bool(http.cert) != bool(http.key):
        raise ValueError("a client certificate wants both cert and key")
    if http.cert:
        with tempfile.TemporaryDirectory() as folder:  # the library takes these two from files only
            cert, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
            cert.write_text(_pem(http.cert))
            key.touch(mode=0o600)
            key.write_text(_pem(http.key))
            context.load_cert_chain(cert, key)
    return context


def _pem(text: str) -> str:
    return text if not text or "-----BEGIN" in text else Path(text).read_text("ascii")


class Web(Protocol):
    """One web service, as those that ask it see it. `url` has no slash at its end."""

    url: str

    async def post_json(self, url: str, body: bytes) -> Response: ...
    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None) -> Response:
        """`auth`: a name and a secret, as RFC 6749 section 2.3.1 puts them into HTTP Basic."""

    async def get(self, url: str, token: str = "") -> Response: ...
    async def close(self) -> None: ...


# Where and how to ask, and the bearer token, which may be empty.
OpenWeb = Callable[[HttpClient, str], Web]


class WebClient:
    """Implements `Web`, for trio. Keeps its connections open between questions.

    Everything that fails is an `OutsideFault`.
    """

    def __init__(self, http: HttpClient, bearer_token: str = "") -> None:
        self.url = http.url.rstrip("/")
        self._http = http
        self._headers = {"Authorization": f"Bearer {bearer_token}"} if bearer_token else {}
        self._session: aiohttp.ClientSession | None = None

    async def post_json(self, url: str, body: bytes) -> Response:
        headers = {**self._headers, "Content-Type": "application/json"}
        return await aio(self._request, "POST", url, headers, body)

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None) -> Response:
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        if auth:
            pair = ":".join(quote_plus(part) for part in auth)
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return await aio(self._request, "POST", url, headers, urlencode(form).encode())

    async def get(self, url: str, token: str = "") -> Response:
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return await aio(self._request, "GET", url, headers, None)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await aio(session.close)

    async def _request(self, method: str, url: str, headers: Mapping[str, str], data: bytes | None) -> Response:
        try:
            session = self._opened()
            redirects = self._http.allow_redirects
            async with session.request(method, url, headers=headers, data=data, allow_redirects=redirects) as response:
                return Response(response.status, await self._body(response))
        except TimeoutError:
            raise OutsideFault("timeout", f"it did not answer within {self._http.timeout:g} s") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise OutsideFault("denied", _one_line(f"TLS failed: {error}")) from None
        except (aiohttp.InvalidURL, ValueError) as error:
            raise OutsideFault("invalid", _one_line(f"it cannot be asked: {error}")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise OutsideFault("unavailable", _one_line(f"it cannot be reached: {error}")) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls = tls_context(self._http) if self._http.url.startswith("https:") else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls),
                timeout=aiohttp.ClientTimeout(total=self._http.timeout),
                cookie_jar=aiohttp.DummyCookieJar(),  # one login must not travel with another's
                headers={"User-Agent": "Moorage"},
            )
        return self._session

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(64 * 1024):
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise OutsideFault("invalid", f"the answer is larger than {BODY_BYTES_MAX} bytes")
        return bytes(body)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:TEXT_CHARS_MAX]
