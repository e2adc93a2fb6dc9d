"""What strict adds to a container, what turns a part off, and that what the operator said goes before."""

from typing import Any

import pytest

from protocol.hardening import KEPT, MEMORY_BYTES, PIDS_MAX, hardened
from protocol.settings import Execution
from protocol.settings_types import HardeningPart


def _strict(host: dict[str, Any] | None = None, off: tuple[HardeningPart, ...] = ()) -> dict[str, Any]:
    return hardened(Execution(host=host or {}, hardening="strict", hardening_off=off))


ALL = {
    "SecurityOpt": ["no-new-privileges"],
    "CapDrop": ["ALL"],
    "CapAdd": list(KEPT),
    "PidsLimit": PIDS_MAX,
    "Memory": MEMORY_BYTES,
    "MemorySwap": MEMORY_BYTES,
}
PARTS: dict[HardeningPart, tuple[str, ...]] = {
    "noNewPrivileges": ("SecurityOpt",),
    "capabilities": ("CapDrop", "CapAdd"),
    "pidsLimit": ("PidsLimit",),
    "memoryLimit": ("Memory", "MemorySwap"),
}


def test_nothing_is_added_without_it() -> None:
    host = {"NetworkMode": "none", "CapAdd": ["NET_ADMIN"]}
    assert hardened(Execution(host=host)) == host


def test_all_of_strict() -> None:
    host = {"NetworkMode": "none"}
    assert _strict(host) == {"NetworkMode": "none", **ALL}
    assert host == {"NetworkMode": "none"}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_turned_off_by_name(part: HardeningPart) -> None:
    assert _strict(off=(part,)) == {key: value for key, value in ALL.items() if key not in PARTS[part]}


def test_what_host_says_goes_before() -> None:
    said = {"SecurityOpt": ["no-new-privileges:false"], "PidsLimit": -1, "Memory": 5, "Privileged": True}
    assert _strict(said) == said


def test_the_zeros_of_a_dumped_configuration_say_nothing() -> None:
    assert _strict({"PidsLimit": 0, "Memory": 0, "SecurityOpt": [], "CapAdd": [], "CapDrop": []}) == ALL


def test_other_security_options_stay() -> None:
    assert _strict({"SecurityOpt": ["label=user:a"]})["SecurityOpt"] == ["label=user:a", "no-new-privileges"]


def test_a_reservation_larger_than_the_limit_would_be_lifts_it() -> None:
    host = _strict({"MemoryReservation": 2 * MEMORY_BYTES})
    assert host["Memory"] == host["MemorySwap"] == 2 * MEMORY_BYTES


@pytest.mark.parametrize(
    ("add", "drop", "kept"),
    [
        (["cap_net_raw"], [], [*KEPT, "NET_RAW"]),
        (["CHOWN"], [], list(KEPT)),
        ([], ["CAP_CHOWN", "setuid"], [name for name in KEPT if name not in ("CHOWN", "SETUID")]),
        (["KILL"], ["ALL"], ["KILL"]),
    ],
)
def test_capabilities_are_asked_for_and_dropped_by_name(add: list[str], drop: list[str], kept: list[str]) -> None:
    host = _strict({"CapAdd": add, "CapDrop": drop})
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], kept)
