"""The `security` section: what a client may ask for. `fsm/policy.py` decides by it.

Keys and modes are ContainerSSH's; the prefix and pattern lists of `command` are ours. A mode that is left empty is
`defaultMode`, and that left empty is `enable`; the modes of `forwarding` have a default of their own.
"""

from typing import Literal

from msgspec import Struct

Mode = Literal["", "enable", "filter", "disable"]
ForwardingMode = Literal["enable", "filter", "disable"]
MODES = ("enable", "filter", "disable")


class NamePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`enable`: all but `deny`; `filter`: only `allow`, without `deny`; `disable`: none."""

    mode: Mode = ""
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class CommandPolicy(NamePolicy, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`allow` and `deny` are whole commands."""

    allow_prefixes: tuple[str, ...] = ()
    allow_patterns: tuple[str, ...] = ()
    deny_prefixes: tuple[str, ...] = ()
    deny_patterns: tuple[str, ...] = ()


class SwitchPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing to filter by: `filter` is `disable`."""

    mode: Mode = ""


class ForwardingPolicy(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Off unless `enable` is said; `filter` is `disable`."""

    forwarding_mode: ForwardingMode = "disable"
    reverse_forwarding_mode: ForwardingMode = "disable"
    socket_forwarding_mode: ForwardingMode = "disable"
    socket_listen_mode: ForwardingMode = "disable"
    x11_forwarding_mode: ForwardingMode = "disable"


class Security(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a client may ask for. -1 sessions: no limit but the server's own."""

    default_mode: Mode = ""
    force_command: str = ""
    env: NamePolicy = NamePolicy()
    command: CommandPolicy = CommandPolicy()
    shell: SwitchPolicy = SwitchPolicy()
    subsystem: NamePolicy = NamePolicy()
    tty: SwitchPolicy = SwitchPolicy()
    signal: NamePolicy = NamePolicy()
    forwarding: ForwardingPolicy = ForwardingPolicy()
    max_sessions: int = -1
