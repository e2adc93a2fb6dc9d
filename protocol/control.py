"""What is said over the control socket: one question a line, its argument as JSON behind its name, JSON answers."""

from typing import Annotated

from msgspec import Meta, Struct

STATUS = "status"
UPGRADE = "upgrade"  # with an `UpgradeWish`; answered when the upgrade has ended, with a `Successor` or a `Refusal`
TAKE_OVER = "take-over"  # with a `Successor`; answered by `Handover` and sockets; then READY, then `Handover` again
READY = b"ready"  # from the successor; any other line says why it cannot serve


class UpgradeWish(Struct, frozen=True, kw_only=True):
    """`argv` starts the new version."""

    argv: Annotated[tuple[str, ...], Meta(min_length=1)]


class Successor(Struct, frozen=True, kw_only=True):
    """A process that will serve, or does. `attempt` is the upgrade that started it; empty: somebody else did."""

    boot: str
    pid: int
    version: str
    attempt: str = ""


class Handover(Struct, frozen=True, kw_only=True):
    """`error` says why not. `listen` is the setting that the sockets were opened for, as text."""

    boot: str = ""
    pid: int = 0
    listen: str = ""
    error: str = ""
