"""The web services of a made-up operator: ContainerSSH's webhooks and an OpenID Connect provider, without a network.

They stand where `actors.web.client.WebClient` does, so what is asked and answered is the real JSON. What goes wrong is
said by failpoints whose methods are the last parts of the paths: `password`, `pubkey`, `authz`, `config`, `device`,
`token`, `userinfo` and `openid-configuration`.
"""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Literal

import msgspec
import trio
from msgspec import Struct

from actors.ports import OutsideFault
from actors.web.client import Response
from moorage.testing.failpoints import Failpoints
from protocol.settings_auth import KeysCommand
from protocol.settings_http import HttpClient
from protocol.webhook import AuthResponse, Login, PasswordRequest, PublicKeyRequest, Value

SERVICES = ("password", "pubkey", "authz", "config", "device", "token", "userinfo", "openid-configuration")
RIGHT = "right"  # everybody's password
LATENCIES_S: tuple[float, ...] = (0.0, 0.0, 0.1, 1.0)
INTERVAL_S = 1  # the least that a provider may ask for
Use = Literal["uses it", "is somebody else", "refuses", "too old", "slow", "odd"]


def key_line(name: str) -> str:
    """The one key that lets somebody in, as a line of authorized_keys."""
    return f"ssh-ed25519 AAAA{name}"


class Operator(Struct, frozen=True, kw_only=True):
    """Whom the services know, and what they say. `parts` are settings by user name, as the configuration webhook tells
    them; `aliases` are other names by which the password webhook knows somebody."""

    strangers: frozenset[str] = frozenset()
    unauthorized: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = {}
    groups: Mapping[str, str] = {}
    parts: Mapping[str, Mapping[str, Any]] = {}


class FakeServices:
    """All services of one operator. `used` is what people have done with the codes that they were shown."""

    def __init__(self, operator: Operator, failpoints: Failpoints, dice: Random) -> None:
        self.operator, self._failpoints, self._dice = operator, failpoints, dice
        self._latencies_s = LATENCIES_S
        self.used: dict[str, tuple[Use, str]] = {}  # user code -> what, and the user's name
        self.asked = 0
        self._codes = 0

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self._failpoints = Failpoints((), self._dice)
        self._latencies_s = (0.0,)

    async def run_keys_command(self, settings: KeysCommand, tokens: Mapping[str, str]) -> str:
        """As `actors.command` runs it: what goes wrong is not asked again."""
        name = tokens["u"]
        lines = key_line(name) if name not in self.operator.strangers else ""
        try:
            return (await self.met("command", settings.timeout, lambda: Response(0, lines.encode()))).body.decode()
        except OutsideFault as fault:
            raise OutsideFault("denied", fault.why) from None

    def open(self, http: HttpClient, bearer_token: str) -> "FakeWeb":
        return FakeWeb(self, http)

    async def met(self, method: str, patience_s: float, do: Callable[[], Response]) -> Response:
        """What becomes of one question. Raises `OutsideFault`."""
        self.asked += 1
        action = self._failpoints.next(method)
        await trio.sleep(self._dice.choice(self._latencies_s))
        seconds = patience_s if action.kind in ("hang", "late") else action.seconds
        await trio.sleep(min(seconds, patience_s))
        if seconds >= patience_s:
            raise OutsideFault("timeout", f"it did not answer within {patience_s:g} s")
        if action.kind == "fail":
            raise OutsideFault(action.fault, f"failpoint in {method}")
        answer = do()
        if action.kind == "lose":
            raise OutsideFault(action.fault, f"failpoint in {method}: the answer got lost")
        return answer

    def person_uses(self, user_code: str, use: Use, name: str) -> None:
        self.used[user_code] = (use, name)

    def answer(self, method: str, query: Mapping[str, str], body: bytes, url: str) -> Response:
        match method:
            case "password":
                password = msgspec.json.decode(body, type=PasswordRequest)
                return self._login(password, password.password_base64 == RIGHT.encode())
            case "pubkey":
                key = msgspec.json.decode(body, type=PublicKeyRequest)
                return self._login(key, key.public_key == key_line(key.username))
            case "authz":
                login = msgspec.json.decode(body, type=Login)
                return _json(AuthResponse(success=login.username not in self.operator.unauthorized))
            case "config":
                login = msgspec.json.decode(body, type=Login)
                return _json({"config": self.operator.parts.get(login.username, {})})
            case "openid-configuration":
                ends = {"device_authorization": "device", "token": "token", "userinfo": "userinfo"}
                return _json({"issuer": url, **{f"{name}_endpoint": f"{url}/{end}" for name, end in ends.items()}})
            case "device":
                self._codes += 1
                more = {"device_code": f"d{self._codes}", "user_code": f"u{self._codes}", "interval": INTERVAL_S}
                return _json({**more, "verification_uri": f"{url}/page"})
            case "token":
                return self._token(query["device_code"].replace("d", "u"))
        return _json({"sub": query["token"], "groups": [self.operator.groups.get(query["token"], "none")]})

    def _login(self, login: Login, fits: bool) -> Response:
        operator, name = self.operator, login.username
        metadata = {"GROUPS": Value(operator.groups[name])} if name in operator.groups else None
        known = fits and name not in operator.strangers
        return _json(
            AuthResponse(success=known, authenticated_username=operator.aliases.get(name, ""), metadata=metadata)
        )

    def _token(self, user_code: str) -> Response:
        use, name = self.used.get(user_code, (None, ""))
        match use:
            case None:
                return _refusal("authorization_pending")
            case "slow":
                self.used[user_code] = ("uses it", name)
                return _refusal("slow_down")
            case "refuses":
                return _refusal("access_denied")
            case "too old":
                return _refusal("expired_token")
            case "odd":
                return _refusal("unheard_of")
        return _json({"access_token": name if use == "uses it" else f"not-{name}"})


class FakeWeb:
    """Implements `actors.web.client.Web`: one service, as one who asks it sees it."""

    def __init__(self, services: FakeServices, http: HttpClient) -> None:
        self.url = http.url.rstrip("/")
        self._services, self._http = services, http

    async def post_json(self, url: str, body: bytes) -> Response:
        return await self._ask(url, {}, body)

    async def post_form(self, url: str, form: Mapping[str, str], auth: tuple[str, str] | None) -> Response:
        return await self._ask(url, form, b"")

    async def get(self, url: str, token: str = "") -> Response:
        return await self._ask(url, {"token": token}, b"")

    async def close(self) -> None: ...

    async def _ask(self, url: str, query: Mapping[str, str], body: bytes) -> Response:
        services = self._services
        method = url.rpartition("/")[2]
        return await services.met(method, self._http.timeout, lambda: services.answer(method, query, body, self.url))


def _json(said: object) -> Response:
    return Response(200, msgspec.json.encode(said))


def _refusal(error: str) -> Response:
    return Response(400, json.dumps({"error": error}).encode())
