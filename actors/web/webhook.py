"""ContainerSSH's webhooks with the same JSON: `/password`, `/pubkey`, `/authz` for logins, and the one for settings."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from actors.login import Client, Grant
from actors.ports import OutsideFault
from actors.web.client import OpenWeb, Web, WebClient, status_fault
from protocol.settings_auth import Webhook
from protocol.settings_services import ConfigServer
from protocol.webhook import AuthResponse, ConfigResponse, Login, PasswordRequest, PublicKeyRequest, Value, decode

T = TypeVar("T")


class AuthWebhook:
    """One `webhook` section. Raises `OutsideFault`; a "no" is an answer."""

    def __init__(self, webhook: Webhook, web: OpenWeb = WebClient) -> None:
        self._web = web(webhook, webhook.bearer_token)

    async def password(self, client: Client, username: str, password: str) -> AuthResponse:
        request = PasswordRequest(**_who(client, username), password_base64=password.encode("utf-8", "surrogatepass"))
        return await self._ask("/password", request)

    async def public_key(self, client: Client, username: str, line: str) -> AuthResponse:
        return await self._ask("/pubkey", PublicKeyRequest(**_who(client, username), public_key=line))

    async def authorize(self, client: Client, username: str, grant: Grant) -> AuthResponse:
        """What is marked as sensitive stays here."""
        return await self._ask("/authz", _known(client, username, grant, {}, is_all=False))

    async def close(self) -> None:
        await self._web.close()

    async def _ask(self, path: str, request: Login) -> AuthResponse:
        return await _posted(self._web, self._web.url + path, request, AuthResponse)


class ConfigWebhook:
    """The `configserver` section: which settings a login has. Raises `OutsideFault`."""

    def __init__(self, server: ConfigServer, web: OpenWeb = WebClient) -> None:
        self._server, self._web = server, web(server, server.bearer_token)

    async def configure(self, client: Client, username: str, grant: Grant, more: Mapping[str, str]) -> ConfigResponse:
        """`more`: metadata that only this question has."""
        request = _known(client, username, grant, more, self._server.transmit_sensitive_metadata)
        return await _posted(self._web, self._server.url, request, ConfigResponse)

    async def close(self) -> None:
        await self._web.close()


async def _posted(web: Web, url: str, request: Login, kind: type[T]) -> T:
    response = await web.post_json(url, msgspec.json.encode(request))
    if response.status != 200:
        raise status_fault(response.status)
    try:
        return decode(kind, response.body)
    except ValueError as error:
        raise OutsideFault("invalid", f"its answer is not what a webhook says: {error}") from None


def _known(client: Client, username: str, grant: Grant, more: Mapping[str, str], is_all: bool) -> Login:
    """All that is known of who is let in; without what is marked as sensitive, unless `is_all`."""
    metadata = {**grant.metadata, **{name: Value(value) for name, value in more.items()}}
    return Login(
        **_who(client, username),
        authenticated_username=grant.username or username,
        metadata=metadata if is_all else _public(metadata),
        environment=grant.environment if is_all else _public(grant.environment),
        files={name: file for name, file in grant.files.items() if is_all or not file.sensitive},
    )


def _who(client: Client, username: str) -> dict[str, Any]:
    return {
        "remote_address": client.remote,
        "connection_id": client.connection,
        "client_version": client.version,
        "username": username,
    }


def _public(values: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if not value.sensitive}
