"""Specimens of what is said to the server machine."""

from collections.abc import Mapping
from typing import Any

from protocol.base import Event
from protocol.server import (
    Listening,
    ReloadWanted,
    SettingsRead,
    SuccessorCame,
    SuccessorFailed,
    SuccessorReady,
    UpgradeWanted,
)

CAME = {"attempt": "b.1", "pid": 12, "version": "2", "sent_for": True}
# Where a name means something else to this machine.
OWN_FIELDS: Mapping[type[Event], Mapping[str, Any]] = {
    UpgradeWanted: {"attempt": "b.1", "argv": ("moorage", "serve")},
    SuccessorCame: CAME,
    SuccessorReady: {"attempt": "b.1"},
    SuccessorFailed: {"attempt": "b.1"},
}
OF_SERVER: Mapping[type[Event], Mapping[str, Mapping[str, Any]]] = {
    Listening: {},
    SuccessorCame: {"by itself": {"sent_for": False}, "another": {"attempt": "b.2"}},
    SuccessorReady: {"another": {"attempt": "b.2"}},
    SuccessorFailed: {"another": {"attempt": "b.2"}},
    ReloadWanted: {},
    SettingsRead: {},
}
