"""Settings as they may be shown to anyone: in a scenario's header, in a report, on a screen."""

import re
from collections.abc import Mapping
from typing import Any

from msgspec import inspect, to_builtins

from protocol.settings import RegistryAuth, Settings
from protocol.settings_auth import Auth

HIDDEN = "***"
# Free-form maps of the engine's API that take drivers' options, a log collector's token among them.
_MAPS = frozenset({"Config", "Options", "DriverOpts"})
_LOGIN = re.compile(r"^([a-z]+://)[^/@]*@", re.IGNORECASE)
_ROOT = inspect.type_info(Settings)
_TELLING = re.compile(r"pass|secret|token|credential|private", re.IGNORECASE)


def without_secrets(settings: Settings) -> dict[str, Any]:
    """The settings as plain dicts and lists, in the file's own keys, with `***` where something may be secret.

    Hidden: what `auth` holds beyond its defaults and the users' names, what a key's type calls a secret, registry
    logins, logins in URLs, values of environment variables and of drivers' options. What is empty stays empty, so that
    one can see that nothing was given.
    """
    tree: dict[str, Any] = to_builtins(settings)
    hostkeys = [HIDDEN if "-----BEGIN" in key else key for key in settings.ssh.hostkeys]
    usual: dict[str, Any] = to_builtins(Auth())
    auth = {key: value if value == usual[key] else HIDDEN for key, value in tree["auth"].items()}
    tree = _by_type(_ROOT, tree)
    tree["auth"] = {**auth, "users": dict.fromkeys(settings.auth.users, HIDDEN)}
    tree["ssh"]["hostkeys"] = hostkeys
    return tree


def part_without_secrets(part: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a part (see settings_part.py)."""
    shown: dict[str, Any] = _by_type(_ROOT, to_builtins(part))
    return shown


def _by_type(kind: inspect.Type, value: Any) -> Any:
    """`value` without what its type says is secret, or may hold secrets."""
    extra = (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}
    if "engine" in extra:
        return _without(value)
    if "secret" in extra:
        return _hidden(value)
    if "part" in extra:
        return _by_type(_ROOT, value)
    if isinstance(kind, inspect.StructType) and kind.cls is RegistryAuth:
        return _hidden(value)
    if isinstance(kind, inspect.StructType):  # of a part only what is given
        known = [field for field in kind.fields if field.encode_name in value]
        return {field.encode_name: _by_type(field.type, value[field.encode_name]) for field in known}
    if isinstance(kind, inspect.VarTupleType) and isinstance(kind.item_type, inspect.StructType):
        return [_by_type(kind.item_type, item) for item in value]
    if isinstance(kind, inspect.DictType) and isinstance(kind.value_type, inspect.Metadata):
        return {name: _by_type(kind.value_type, item) for name, item in value.items()}
    return _LOGIN.sub(rf"\1{HIDDEN}@", value) if isinstance(value, str) else value


def _hidden(value: object) -> object:
    """`value`, hidden to its leaves; empty text stays."""
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return value if value == "" else HIDDEN


def _without(value: object) -> object:
    """An object of the engine's API without what its keys say is secret."""
    if isinstance(value, list):
        return [_without(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[object, object] = {}
    for key, item in value.items():
        if key == "Env" and isinstance(item, list):
            result[key] = [_without_value(entry) for entry in item]
        elif (key in _MAPS and isinstance(item, dict)) or _TELLING.search(str(key)):
            result[key] = _hidden(item)
        else:
            result[key] = _without(item)
    return result


def _without_value(entry: object) -> str:
    """`NAME=value` with its value hidden; a name alone stays."""
    name, equals, _ = str(entry).partition("=")
    return f"{name}={HIDDEN}" if equals else name
