"""What `docker.execution.hardening: strict` adds to a container, part by part. Pure.

What `host` says itself goes before: a limit that is given stays, a capability that is asked for is kept.
"""

from typing import Any

from protocol.settings import Execution
from protocol.settings_types import HardeningPart

PIDS_MAX = 512
MEMORY_BYTES = 2**30
# The engine's own choice without those that a login has no use for: MKNOD, NET_RAW (`ping` works without it),
# SETFCAP, SETPCAP, SYS_CHROOT, AUDIT_WRITE and NET_BIND_SERVICE (low ports are free in a container's network).
# What is left lets root install packages, change owners and become another user.
KEPT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID")
NO_NEW_PRIVILEGES = "no-new-privileges"


def hardened(execution: Execution) -> dict[str, Any]:
    """The `host` that the engine is asked for."""
    host = dict(execution.host)
    if execution.hardening != "strict":
        return host
    off: frozenset[HardeningPart] = frozenset(execution.hardening_off)
    if "noNewPrivileges" not in off:
        options = list(host.get("SecurityOpt") or ())
        if not any(option.startswith(NO_NEW_PRIVILEGES) for option in options):
            host["SecurityOpt"] = [*options, NO_NEW_PRIVILEGES]
    if "capabilities" not in off and not host.get("Privileged"):
        host["CapDrop"], host["CapAdd"] = ["ALL"], _capabilities(host)
    if "pidsLimit" not in off:
        host["PidsLimit"] = host.get("PidsLimit") or PIDS_MAX  # 0 is what a dumped configuration says for "not said"
    if "memoryLimit" not in off and not host.get("Memory"):
        host["Memory"] = max(MEMORY_BYTES, host.get("MemoryReservation") or 0)
        host["MemorySwap"] = host["Memory"]  # together: no swap
    return host


def _capabilities(host: dict[str, Any]) -> list[str]:
    dropped = {plain_name(name) for name in host.get("CapDrop") or ()}
    added = [plain_name(name) for name in host.get("CapAdd") or ()]
    kept = [] if "ALL" in dropped else [name for name in KEPT if name not in dropped]
    return list(dict.fromkeys([*kept, *added]))


def plain_name(capability: str) -> str:
    """`cap_chown`, `CHOWN`: the same to the engine."""
    return capability.upper().removeprefix("CAP_")
