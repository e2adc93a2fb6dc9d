"""What every engine promises about pulls: real registries for the real engine."""

import pytest
import trio

from actors.ports import EngineFault
from tests.actors.engine.conftest import Bench

pytestmark = [pytest.mark.trio, pytest.mark.registry]


async def test_good_pull(bench: Bench) -> None:
    reference, lines = bench.good(), list[str]()
    with pytest.raises(EngineFault):
        await bench.engine.inspect_image(reference)
    await bench.engine.pull_image(reference, {}, {}, lines.append)
    assert (await bench.engine.inspect_image(reference)).startswith("sha256:")
    assert all(line.startswith(f"{reference}: ") for line in lines)
    assert "pulled" in lines[-1] and "layer" in lines[-1]
    await bench.engine.pull_image(reference, {}, {}, lines.append)


async def test_platform(bench: Bench) -> None:
    await bench.engine.pull_image(bench.good(), {"os": "linux"}, {}, lambda line: None)


async def test_absent_is_not_found(bench: Bench) -> None:
    with pytest.raises(EngineFault) as caught:
        await bench.engine.pull_image(bench.absent(), {}, {}, lambda line: None)
    assert caught.value.fault == ("internal" if bench.podman else "not_found")
    assert "absent" in caught.value.why


async def test_error_in_the_stream_is_a_fault(bench: Bench) -> None:
    reference = bench.broken()
    with pytest.raises(EngineFault) as caught:
        await bench.engine.pull_image(reference, {}, {}, lambda line: None)
    assert caught.value.fault in ("internal", "not_found") and caught.value.why
    with pytest.raises(EngineFault):
        await bench.engine.inspect_image(reference)


async def test_unreachable_registry(bench: Bench) -> None:
    with pytest.raises(EngineFault) as caught:
        await bench.engine.pull_image(bench.unreachable(), {}, {}, lambda line: None)
    assert caught.value.fault == "internal"


async def test_login(bench: Bench) -> None:
    """The right password is let in, a wrong or no password is not, and the engine's sentence says why."""
    reference, auth = bench.private()
    for wrong in ({}, {**auth, "password": "wrong"}):
        with pytest.raises(EngineFault) as caught:
            await bench.engine.pull_image(reference, {}, wrong, lambda line: None)
        # Engines answer 500 here, 20.10 at least; the class is the status code's.
        assert caught.value.fault in ("denied", "not_found", "internal")
        assert any(word in caught.value.why for word in ("auth", "denied"))
    await bench.engine.pull_image(reference, {}, auth, lambda line: None)
    await bench.engine.inspect_image(reference)


async def test_cancelled_pull_stops(bench: Bench) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.engine.pull_image(bench.good(), {}, {}, lambda line: None)
    assert scope.cancelled_caught
