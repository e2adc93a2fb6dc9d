"""Settings as they may be shown to anyone: in a scenario's header, in a report, on a screen."""

import re
from typing import Any

from msgspec import to_builtins

from protocol.settings import Settings

HIDDEN = "***"
# Free-form maps of the engine's API that take drivers' options, a log collector's token among them.
_MAPS = frozenset({"Config", "Options", "DriverOpts"})
_TELLING = re.compile(r"pass|secret|token|credential|private", re.IGNORECASE)


def without_secrets(settings: Settings) -> dict[str, Any]:
    """The settings as plain dicts and lists, in the file's own keys, with `***` where something may be secret.

    Hidden: all of `auth` but the users' names, private keys, registry logins, values of environment variables and of
    drivers' options. What is empty stays empty, so that one can see that nothing was given.
    """
    tree: dict[str, Any] = to_builtins(settings)
    tree["auth"] = {"users": dict.fromkeys(settings.auth.users, HIDDEN)}
    tree["ssh"]["hostkeys"] = [HIDDEN if "-----BEGIN" in key else key for key in settings.ssh.hostkeys]
    connection, execution = tree["docker"]["connection"], tree["docker"]["execution"]
    connection["key"] = _hidden(connection["key"])
    execution["auth"] = {key: _hidden(value) for key, value in execution["auth"].items()}
    for name in ("container", "host", "network"):
        execution[name] = _without(execution[name])
    return tree


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
