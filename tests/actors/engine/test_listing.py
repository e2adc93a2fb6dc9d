"""What is taken from the engine's list of containers, and that nothing else in it matters."""

import json
from typing import Any

import pytest

from actors.engine.listing import found_containers
from actors.ports import EngineFault, FoundContainer


def listed(**fields: Any) -> dict[str, Any]:
    """A container as Docker 20.10 lists it."""
    return {
        "Id": "abc",
        "Names": ["/one"],
        "Image": "busybox:1",
        "Command": "sh",
        "Created": 1764400000,
        "Ports": [{"PrivatePort": 22, "Type": "tcp"}],
        "Labels": {"moorage.instance": "i"},
        "State": "running",
        "HostConfig": {"NetworkMode": "none"},
        "NetworkSettings": {"Networks": {"none": {"Links": None}}},
        "Mounts": [],
        **fields,
    }


def of(*containers: dict[str, Any]) -> list[FoundContainer]:
    return found_containers(json.dumps(containers).encode())


def test_id_name_and_labels() -> None:
    assert of() == []
    assert of(listed()) == [FoundContainer(id="abc", name="one", labels={"moorage.instance": "i"})]


def test_the_name_is_its_own_and_not_a_link_to_it() -> None:
    assert [one.name for one in of(listed(Names=["/other/alias", "/one"]), listed(Names=[]))] == ["one", ""]


@pytest.mark.parametrize("labels", [None, {}])
def test_no_labels(labels: object) -> None:
    without = listed(Labels=labels)
    assert of(without)[0].labels == {}
    del without["Labels"]
    assert of(without)[0].labels == {}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"not JSON",
        b"{}",
        b"null",
        b"[1]",
        b'[{"Id": 1, "Names": []}]',
        b'[{"Id": "a"}]',
        b'[{"Id": "a", "Names": null}]',
        b'[{"Id": "a", "Names": ["/x"], "Labels": ["y"]}]',
        b'[{"Id": "a", "Names": ["\xff"]}]',
        b'[{"Id": "a", "Names": [], "x": ' + b"[" * 100_000,
    ],
)
def test_what_the_api_does_not_promise_is_a_fault(answer: bytes) -> None:
    with pytest.raises(EngineFault) as caught:
        found_containers(answer)
    assert caught.value.fault == "internal" and caught.value.why.startswith("the engine's answer is not understood: ")
