"""Answers of the engine that come too late, or never: what it may have done all the same is found out or cleared up."""

import trio

from tests.e2e.harness import FAKE_IMAGE, Done
from tests.e2e.runs import Setup, run
from tests.e2e.runs_fault import told

LOOK_HANGS_S = 5.3  # nobody joins a look that has hung for 5 s


@run("connection-create-comes-late", end="removed by the sweep", rows=("CT0308", "CT1205", "CT1221"), needs=())
async def create_comes_late(setup: Setup) -> None:
    """The engine makes the container after the client has gone and the create was given up: the sweep looks for it."""
    async with setup.fake_harness("create_container: late(0.3)", http_s=0.3) as harness:
        async with harness.client():
            await harness.said.until("DOCKER_CONTAINER_CREATE")
        await harness.said.until("MOORAGE_ORPHAN_EXPECTED")
        assert not harness.containers()
        await harness.said.until("MOORAGE_ORPHAN_FOUND")
        await harness.all_gone()
        assert harness.server.statistics()["orphans"]["found"] == 1


@run("session-start-answer-lost-and-ended", end="exit status 7", rows=("CT0702", "CT0801", "CT0901"), needs=())
async def start_lost_and_ended(setup: Setup) -> None:
    """The program has started and ended while the answer got lost: it is not run a second time."""
    async with (
        setup.fake_harness("start_container: 1*lose(timeout) -> off", mode="session") as harness,
        harness.client() as client,
    ):
        assert await client.run("echo out; exit 7") == Done(7, b"out\n", b"")
        assert harness.fake is not None and harness.fake.calls["start_container"] == 1


@run("connection-image-look-hangs", end="exit status 7", rows=("IM0103", "IM0201", "SS0901"), needs=(), kept=1)
async def image_look_hangs(setup: Setup) -> None:
    """One look at the image hangs for longer than a login has time. Who comes later asks anew and is served."""
    late = "it took longer than docker.timeouts.containerStart (7 s)"
    why = f"the container engine could not say whether it has the image {FAKE_IMAGE}: {late}"
    async with (
        setup.fake_harness("inspect_image: 1*hang -> off", http_s=9.0, container_start=7.0) as harness,
        harness.client() as first,
        trio.open_nursery() as nursery,
    ):

        async def stays_out() -> None:
            assert await first.run("exit 7") == Done(125, b"", told(why, "DOCKER_IMAGE_LISTING_FAILED"))

        nursery.start_soon(stays_out)
        await harness.said.until("DOCKER_IMAGE_LISTING")
        await trio.sleep(LOOK_HANGS_S)
        async with harness.client() as second:
            assert await second.run("exit 7") == Done(7, b"", b"")
