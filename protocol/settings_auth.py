"""The `auth` section: who may come in, and who is asked about it.

Keys that ContainerSSH has keep its names, defaults and meaning; users, certificates, the key command, methods in
sequence and the failure limit are ours. What a user's ways in are follows from it in `ways.py`.
"""

from typing import Literal

from msgspec import Struct, field

from protocol.settings_http import HttpClient
from protocol.settings_types import Count, Duration, Secret, Timeout


class User(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Keys (or files of keys), a crypt-style password hash, a TOTP secret in base32, the ways to combine them, and the
    groups that rules may ask for."""

    authorized_keys: tuple[Secret, ...] = ()
    password_hash: Secret = ""
    totp: Secret = ""
    methods: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Webhook(HttpClient, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`url` gets `/password`, `/pubkey` or `/authz` behind it. `timeout` is for one call, `auth_timeout` for all."""

    auth_timeout: Timeout = 60.0
    bearer_token: Secret = ""


class AskWebhook(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Off while `method` is empty."""

    method: Literal["", "webhook"] = ""
    webhook: Webhook = Webhook()


class Oidc(HttpClient, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`url` is the issuer; its discovery document names the rest."""

    timeout: Timeout = 10.0
    device_flow: bool = True
    authorization_code_flow: bool = False
    username_field: str = "sub"
    extra_scopes: tuple[str, ...] = ()
    enforce_scopes: bool = False
    enforce_username: bool = False
    login_timeout: Timeout = 120.0


class OAuth2(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    provider: Literal["oidc"] = "oidc"
    client_id: str = ""
    client_secret: Secret = ""
    oidc: Oidc = Oidc()


class KeyboardInteractive(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    method: Literal["", "oauth2"] = ""
    oauth2: OAuth2 = OAuth2()


class KeysCommand(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A program that prints `authorized_keys` lines, as sshd's AuthorizedKeysCommand. Off while `command` is empty."""

    command: tuple[str, ...] = ()
    user: str = ""
    timeout: Timeout = 10.0


class FailureLimit(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """So many failed tries from one address in `period`, and further ones are refused unseen. Period 0: no limit."""

    max: Count = 20
    period: Duration = 60.0


class Auth(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    users: dict[str, User] = {}
    users_file: str = ""
    methods: tuple[str, ...] = ()
    trusted_user_ca_keys: tuple[Secret, ...] = field(default=(), name="trustedUserCAKeys")
    revoked_keys: str = ""
    authorized_keys_command: KeysCommand = KeysCommand()
    password: AskWebhook = AskWebhook()
    public_key: AskWebhook = AskWebhook()
    keyboard_interactive: KeyboardInteractive = KeyboardInteractive()
    authz: AskWebhook = AskWebhook()
    failures: FailureLimit = FailureLimit()
