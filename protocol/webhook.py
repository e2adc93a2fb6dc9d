"""What travels between us and the web services of an operator: ContainerSSH's JSON, member for member."""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Value(Struct, frozen=True):
    """`sensitive`: not to be sent to anybody who does not need it."""

    value: str
    sensitive: bool = False


class BinaryValue(Struct, frozen=True):
    value: bytes  # base64 in JSON
    sensitive: bool = False


class Login(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who is logging in, and what is known of it so far. Required members are always written."""

    remote_address: str
    connection_id: str
    client_version: str
    username: str
    authenticated_username: str = ""
    metadata: dict[str, Value] = {}
    environment: dict[str, Value] = {}
    files: dict[str, BinaryValue] = {}


class PasswordRequest(Login, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    password_base64: bytes


class PublicKeyRequest(Login, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    public_key: str  # as a line of authorized_keys, without a comment


class AuthResponse(Struct, frozen=True, kw_only=True, rename="camel"):
    """Members that are not known are let be: a service may say more than we ask."""

    success: bool
    authenticated_username: str = ""
    metadata: dict[str, Value] | None = None
    environment: dict[str, Value] | None = None
    files: dict[str, BinaryValue] | None = None


class ConfigResponse(Struct, frozen=True, kw_only=True):
    """`config` is a part of the settings, still to be read."""

    config: dict[str, Any]
    metadata: dict[str, Value] | None = None
    environment: dict[str, Value] | None = None
    files: dict[str, BinaryValue] | None = None


def decode(kind: type[T], body: bytes) -> T:
    """Raises ValueError (with where, never with what: it may be secret)."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
