"""From the engine's lines about layers to one line for people."""

from typing import Any

import pytest

from actors.engine.pull import PullProgress, raise_stream_error
from actors.ports import EngineFault


def layer(name: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    detail = {"current": current, "total": total} if total else {}
    return {"id": name, "status": status, "progressDetail": detail}


def test_a_pull_from_start_to_end() -> None:
    fold = PullProgress("busybox:1.36")
    assert fold.take({"id": "1.36", "status": "Pulling from library/busybox"}, 0.0) == ""
    assert fold.take(layer("a", "Pulling fs layer"), 0.0) == "busybox:1.36: downloading 1 layer"
    for name in ("b", "c"):
        assert fold.take(layer(name, "Pulling fs layer"), 0.1) == ""
    assert fold.take(layer("a", "Downloading", 2_400_000, 10_100_000), 0.2) == ""
    assert fold.take(layer("b", "Downloading", 10_000_000, 20_000_000), 0.6) == (
        "busybox:1.36: downloading 3 layers, 12.4 of 30.1 MB"
    )
    for name in ("a", "b", "c"):
        fold.take(layer(name, "Download complete"), 0.7)
    assert fold.take(layer("a", "Extracting", 1, 10_100_000), 1.2) == (
        "busybox:1.36: unpacking 3 layers, 0 done, 30.1 MB"
    )
    assert fold.take(layer("a", "Pull complete"), 1.8) == "busybox:1.36: unpacking 3 layers, 1 done, 30.1 MB"
    assert fold.last() == "busybox:1.36: pulled 3 layers, 30.1 MB"


def test_at_most_two_lines_a_second() -> None:
    fold = PullProgress("x")
    lines = [fold.take(layer("a", "Downloading", n * 1000, 10**6), n / 1000) for n in range(1, 1000)]
    assert 2 <= sum(bool(line) for line in lines) <= 3


def test_what_was_held_back_is_due_later() -> None:
    """A download that stalls is shown as it is, not as it was half a second before."""
    fold = PullProgress("x")
    assert fold.due is None
    assert fold.take(layer("a", "Pulling fs layer"), 1.0) == "x: downloading 1 layer"
    assert fold.due is None
    assert fold.take(layer("a", "Downloading", 500_000, 10**6), 1.1) == ""
    assert fold.due == 1.5
    assert fold.take(None, 1.5) == "x: downloading 1 layer, 0.5 of 1.0 MB"
    assert fold.due is None


def test_nothing_new_says_nothing() -> None:
    fold = PullProgress("x")
    assert fold.take(layer("a", "Already exists"), 0) == ""
    assert fold.take({"status": "Digest: sha256:00"}, 1) == ""
    assert fold.last() == "x: up to date"


@pytest.mark.parametrize("item", [None, 5, [], {}, {"id": 5, "status": None}, {"id": "a", "progressDetail": 7}])
def test_odd_lines_do_no_harm(item: Any) -> None:
    fold = PullProgress("x")
    assert fold.take(item, 0) == ""
    raise_stream_error(item)


def test_small_sizes_are_bytes() -> None:
    fold = PullProgress("x")
    assert fold.take(layer("a", "Downloading", 100, 166), 0) == "x: downloading 1 layer, 100 of 166 B"


@pytest.mark.parametrize(
    ("item", "fault", "why"),
    [
        ({"errorDetail": {"message": "boom"}, "error": "boom"}, "internal", "boom"),
        ({"error": "only\nthis"}, "internal", "only this"),
        ({"errorDetail": {"code": 403, "message": "no"}}, "denied", "no"),
        ({"errorDetail": {"code": 404, "message": "no"}}, "not_found", "no"),
        ({"errorDetail": None, "error": ""}, "internal", "the engine gave no reason"),
    ],
)
def test_errors(item: Any, fault: str, why: str) -> None:
    with pytest.raises(EngineFault) as caught:
        raise_stream_error(item)
    assert (caught.value.fault, caught.value.why) == (fault, why)
