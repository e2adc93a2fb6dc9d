"""OAuth 2.0 device flow (RFC 8628) at an OpenID Connect provider: a code to show, then the name behind it.

The access token is used once, for the user info, and kept nowhere. So there is nothing to leak and nothing to revoke.
"""

from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from actors.ports import OutsideFault
from actors.web.client import OpenWeb, Response, WebClient, status_fault
from protocol.settings_auth import OAuth2
from protocol.webhook import Value

INTERVAL_S = 5.0  # RFC 8628 section 3.2
INTERVAL_S_MAX = 60.0
SLOWER_S = 5.0  # section 3.5
TEXT_CHARS_MAX = 500
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_NEEDED = ("device_authorization_endpoint", "token_endpoint", "userinfo_endpoint")
_REFUSALS = {"access_denied": "the person has refused", "expired_token": "the code is too old"}


class Device(Struct):
    """A device flow under way. `code` is a secret."""

    code: str
    user_code: str
    page: str
    interval_s: float


class Person(Struct, frozen=True):
    username: str
    metadata: dict[str, Value]


class Oidc:
    """One provider. Raises `OutsideFault`."""

    def __init__(self, oauth2: OAuth2, web: OpenWeb = WebClient) -> None:
        self._oauth2, self._oidc = oauth2, oauth2.oidc
        self._web = web(oauth2.oidc, "")
        self._found: dict[str, Any] | None = None

    async def begin(self) -> Device:
        """A code for a person."""
        form = {"client_id": self._oauth2.client_id, "scope": " ".join(self._scopes())}
        answer = await self._post("device_authorization_endpoint", form)
        if answer.status != 200:
            raise status_fault(answer.status)
        tree = answer.json()
        page = _text(tree, "verification_uri_complete") or _text(tree, "verification_uri")
        device = Device(_text(tree, "device_code"), _text(tree, "user_code"), page, _interval(tree))
        if not (device.code and device.user_code and device.page):
            raise OutsideFault("invalid", "its answer has no device_code, user_code and verification_uri")
        return device

    async def poll(self, device: Device) -> Person | str | None:
        """The person; why there will be none; or None: not yet."""
        form = {"grant_type": _GRANT, "device_code": device.code, "client_id": self._oauth2.client_id}
        answer = await self._post("token_endpoint", form)
        if answer.status == 200:
            return await self._person(answer.json())
        if answer.status not in (400, 401, 403):
            raise status_fault(answer.status)
        error = _text(answer.json(), "error")
        if error == "slow_down":
            device.interval_s = min(device.interval_s + SLOWER_S, INTERVAL_S_MAX)
        if error in ("authorization_pending", "slow_down"):
            return None
        if error in _REFUSALS:
            return _REFUSALS[error]
        raise OutsideFault("denied", f"the provider says {error[:80]!r}")

    async def close(self) -> None:
        await self._web.close()

    async def _person(self, token: dict[str, Any]) -> Person | str:
        granted = _text(token, "scope").split() or self._scopes()  # RFC 6749 section 5.1: not said means as asked
        missing = [scope for scope in self._oidc.extra_scopes if scope not in granted]
        if self._oidc.enforce_scopes and missing:
            return f"the scope {missing[0]} was not granted"
        answer = await self._web.get((await self._discovered())["userinfo_endpoint"], _text(token, "access_token"))
        if answer.status != 200:
            raise status_fault(answer.status)
        claims = answer.json()
        username = _text(claims, self._oidc.username_field)
        if not username:
            return f"the provider's user info has no {self._oidc.username_field}"
        texts = {name: value for name, value in claims.items() if isinstance(value, str)}
        groups = claims.get("groups")
        if isinstance(groups, list):  # as rules read them; a name with a blank would be read as two
            texts["groups"] = " ".join(name for name in groups if isinstance(name, str) and name.split() == [name])
        return Person(username, {f"OIDC_USERINFO_{name.upper()}": Value(value) for name, value in texts.items()})

    def _scopes(self) -> list[str]:
        return ["openid", *(scope for scope in self._oidc.extra_scopes if scope != "openid")]

    async def _post(self, endpoint: str, form: dict[str, str]) -> Response:
        """The client's secret goes the way that the provider names; without a word, as HTTP Basic."""
        found = await self._discovered()
        ways = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        secret = self._oauth2.client_secret
        if secret and "client_secret_basic" in ways:
            return await self._web.post_form(found[endpoint], form, (self._oauth2.client_id, secret))
        more = {"client_secret": secret} if secret else {}
        return await self._web.post_form(found[endpoint], {**form, **more}, None)

    async def _discovered(self) -> dict[str, Any]:
        """The provider's own description, asked for once. It must be of this issuer, and stay with its scheme."""
        if self._found is not None:
            return self._found
        answer = await self._web.get(f"{self._web.url}/.well-known/openid-configuration")
        if answer.status != 200:
            raise status_fault(answer.status)
        found = answer.json()
        if _text(found, "issuer").rstrip("/") != self._web.url:
            raise OutsideFault("invalid", "its discovery document is of another issuer")
        for name in _NEEDED:
            if urlsplit(_text(found, name)).scheme not in ("https", urlsplit(self._web.url).scheme):
                raise OutsideFault("invalid", f"its discovery document has no {name} that can be used")
        self._found = found
        return found


def _text(tree: dict[str, Any], name: str) -> str:
    value = tree.get(name)
    return value[: TEXT_CHARS_MAX * 20] if isinstance(value, str) else ""


def _interval(tree: dict[str, Any]) -> float:
    value = tree.get("interval", INTERVAL_S)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(float(value), 1.0), INTERVAL_S_MAX) if is_number else INTERVAL_S
