"""ContainerSSH's webhooks for logins: `/password`, `/pubkey`, `/authz`, with the same JSON."""

from typing import Any

import msgspec

from actors.login import Client, Grant
from actors.ports import OutsideFault
from actors.web.client import WebClient, status_fault
from protocol.settings_auth import Webhook
from protocol.webhook import AuthResponse, Login, PasswordRequest, PublicKeyRequest, Value, decode


class AuthWebhook:
    """One `webhook` section. Raises `OutsideFault`; a "no" is an answer."""

    def __init__(self, webhook: Webhook) -> None:
        self._web = WebClient(webhook, webhook.bearer_token)

    async def password(self, client: Client, username: str, password: str) -> AuthResponse:
        request = PasswordRequest(**_who(client, username), password_base64=password.encode("utf-8", "surrogatepass"))
        return await self._ask("/password", request)

    async def public_key(self, client: Client, username: str, line: str) -> AuthResponse:
        return await self._ask("/pubkey", PublicKeyRequest(**_who(client, username), public_key=line))

    async def authorize(self, client: Client, username: str, grant: Grant) -> AuthResponse:
        """What is marked as sensitive stays here."""
        request = Login(
            **_who(client, username),
            authenticated_username=grant.username or username,
            metadata=_public(grant.metadata),
            environment=_public(grant.environment),
            files={name: file for name, file in grant.files.items() if not file.sensitive},
        )
        return await self._ask("/authz", request)

    async def close(self) -> None:
        await self._web.close()

    async def _ask(self, path: str, request: Login) -> AuthResponse:
        response = await self._web.post_json(path, msgspec.json.encode(request))
        if response.status != 200:
            raise status_fault(response.status)
        try:
            return decode(AuthResponse, response.body)
        except ValueError as error:
            raise OutsideFault("invalid", f"its answer is not what a webhook says: {error}") from None


def _who(client: Client, username: str) -> dict[str, Any]:
    return {
        "remote_address": client.remote,
        "connection_id": client.connection,
        "client_version": client.version,
        "username": username,
    }


def _public(values: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if not value.sensitive}
