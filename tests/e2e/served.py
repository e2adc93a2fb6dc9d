"""Runs of programs that the agent serves: each in both modes and over both links."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from actors.container import ContainerActor
from protocol.container import Link
from protocol.settings import ExecutionMode
from tests.e2e.harness import Harness
from tests.e2e.runs import Setup, run

MODES: tuple[ExecutionMode, ...] = ("connection", "session")
LINKS: tuple[Link, ...] = ("socket", "attach")
QUICK = ("connection-socket", "session-socket")
ALL = tuple(f"{mode}-{link}" for mode in MODES for link in LINKS)
SPAWNED = ("SS0121|SS0217", "SS1201", "CT0708", "CT1401")  # asked for, started; the container's agent said hello


class Served:
    """A setup with its mode and its link."""

    def __init__(self, setup: Setup, mode: ExecutionMode, link: Link) -> None:
        self.setup, self.mode, self.link = setup, mode, link
        self.folder, self.scenarios = setup.folder, setup.scenarios

    def harness(self, mode: str = "", **more: Any) -> AbstractAsyncContextManager[Harness]:
        return self._harness(**more)

    @asynccontextmanager
    async def _harness(self, **more: Any) -> AsyncIterator[Harness]:
        more = {"transport": "served", "mode": self.mode, "links": (self.link,), **more}
        async with self.setup.harness(**more) as harness:
            (ready,) = harness.said.details("MOORAGE_AGENT_READY")
            assert (ready["link"], ready["terminals"]) == (self.link, "host" if self.link == "socket" else "agent")
            yield harness
            await harness.all_gone()
            folder = self.folder / "state" / "boots"
            assert not list(folder.glob("*.links/*")), "a socket was left behind"


def served(
    what: str,
    *,
    end: str,
    rows: tuple[str, ...] = (),
    spawned: tuple[str, ...] = SPAWNED,
    needs: tuple[str, ...] = ("engine", "openssh"),
    modes: tuple[ExecutionMode, ...] = MODES,
    quick: tuple[str, ...] = QUICK,
) -> Callable[[Callable[[Served], Awaitable[None]]], Callable[[Served], Awaitable[None]]]:
    """The run `MODE-served-WHAT-LINK` for each mode and link. Those that are not `quick` (`MODE-LINK`) are slow."""

    def note(go: Callable[[Served], Awaitable[None]]) -> Callable[[Served], Awaitable[None]]:
        for mode in modes:
            for link in LINKS:
                marks = needs if f"{mode}-{link}" in quick else (*needs, "slow")
                run(f"{mode}-served-{what}-{link}", end=end, rows=(*spawned, *rows), needs=marks)(bound(go, mode, link))
        return go

    return note


def bound(
    go: Callable[[Served], Awaitable[None]], mode: ExecutionMode, link: Link
) -> Callable[[Setup], Awaitable[None]]:
    async def one(setup: Setup) -> None:
        await go(Served(setup, mode, link))

    one.__doc__ = f"{go.__doc__} Served in mode {mode}, over the {link} link."
    return one


def actor_of_container(harness: Harness) -> ContainerActor:
    """The only one there is."""
    (actor,) = (one for one in harness.server.supervisor.world.actors.values() if isinstance(one, ContainerActor))
    return actor
