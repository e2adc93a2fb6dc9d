"""What is asked of a registry, and what need not be."""

from typing import get_args

import pytest

from fsm.image import IMAGE, will_do_as_it_is
from protocol.image import ImageWanted
from protocol.settings import ImagePullPolicy

REFERENCES = {
    "busybox": True,
    "busybox:latest": True,
    "busybox:1": False,
    "registry.example:5000/tools": True,
    "registry.example:5000/tools:1": False,
    "busybox@sha256:" + "0" * 64: False,
}


@pytest.mark.parametrize(("reference", "moves"), REFERENCES.items())
@pytest.mark.parametrize("policy", get_args(ImagePullPolicy))
def test_what_the_engine_has_will_do_where_the_machine_would_look_first(
    policy: ImagePullPolicy, reference: str, moves: bool
) -> None:
    wanted = {"Always": False, "IfNotPresent": not moves, "Never": True}[policy]
    assert will_do_as_it_is(reference, policy) == wanted
    cell = IMAGE.cell()
    IMAGE.step(cell, ImageWanted(waiter="w1", reference=reference, platform="", policy=policy))
    assert cell.state == ("INSPECTING" if wanted else "PULLING")
