"""What has changed between two configurations, fit for a log: secrets are hidden, what waits for a restart marked."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import UNSET, Struct, to_builtins
from msgspec.structs import fields

from protocol.settings import Settings
from protocol.settings_problem import is_within, join, one_line
from protocol.settings_secrets import HIDDEN, without_secrets

# What the daemon has opened or found at its start, and holds for its life.
RESTART = (
    "ssh.listen",
    "docker.connection",
    "docker.timeouts.http",
    "log.destination",
    "log.file",
    "log.syslog",
    "record.directory",
    "state",
)
_ELSEWHERE = ("dockerrun", "listen")  # read into `docker` and `ssh.listen`, where the change is seen
_SHOWN_CHARS_MAX = 120


class Change(Struct, frozen=True):
    """`old` and `new` as JSON, empty where the key was not there; both `***` where a value may be secret."""

    path: str
    old: str
    new: str
    restart: bool

    def __str__(self) -> str:
        if not self.old:
            said = f"added: {self.new}"
        elif not self.new:
            said = "removed"
        else:
            said = f"{self.old} -> {self.new}" if self.old != self.new else "changed (its value is not shown)"
        return one_line(f"{self.path}: {said}") + (" (needs a restart)" if self.restart else "")


def changes(old: Settings, new: Settings) -> tuple[Change, ...]:
    """In the order of the keys in `settings.py`."""
    shown = without_secrets(old), without_secrets(new)
    found = _between(to_builtins(old), to_builtins(new), *shown, "")
    return tuple(change for change in found if not any(is_within(change.path, key) for key in _ELSEWHERE))


def _between(old: Any, new: Any, old_shown: Any, new_shown: Any, path: str) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            below = _below(old_shown, key), _below(new_shown, key), join(path, str(key))
            yield from _between(old.get(key, UNSET), new.get(key, UNSET), *below)
        return
    restart = any(is_within(path, key) for key in RESTART)
    yield Change(path, _text(old, old_shown), _text(new, new_shown), restart)


def _below(shown: Any, key: object) -> Any:
    """Below what is hidden as a whole, all is."""
    return shown.get(key, UNSET) if isinstance(shown, dict) else HIDDEN


def _text(value: Any, shown: Any) -> str:
    if value is UNSET:
        return ""
    text = HIDDEN if shown == HIDDEN else msgspec.json.encode(shown).decode()
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"


def with_kept(old: Settings, new: Settings) -> Settings:
    """The new settings with the old values of all that needs a restart, which is what is in force."""
    for path in RESTART:
        new = _kept(old, new, path.split("."))
    return new


def _kept(old: Any, new: Any, keys: list[str]) -> Any:
    name = next(field.name for field in fields(type(new)) if field.encode_name == keys[0])
    ours, theirs = getattr(old, name), getattr(new, name)
    return msgspec.structs.replace(new, **{name: _kept(ours, theirs, keys[1:]) if keys[1:] else ours})
