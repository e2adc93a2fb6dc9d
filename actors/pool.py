"""The warm pool: how many spares there are to be, when they are made, and which login gets one."""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

import trio

from actors.container import ContainerActor
from actors.orders import shape
from actors.ports import EngineFault
from actors.spare import SpareActor
from actors.world import World
from protocol import codes
from protocol.connection import DrainWanted
from protocol.container import ContainerFailed
from protocol.settings import Docker
from protocol.settings import Pool as PoolSettings
from protocol.spare import SpareWanted

Make = Callable[[SpareWanted, Callable[[SpareActor], None]], SpareActor]

SPARE_NAME = "moorage-spare-"  # and twelve hex digits, until it is claimed
FILLING_MAX = 1  # the engine starts containers one after the other; more would only stand in a login's way
QUIET_S = 0.3  # without a login, before spares are made while there are others
LOOK_S = 10.0  # between two looks at the image
DEMAND_S = 60.0  # `auto`: logins of the last minute are to be met at once
AFTERGLOW_S = 600.0  # and one is kept ready for so long after the last
FAILURE_S_MIN, FAILURE_S_MAX = 1.0, 60.0
STARTING = frozenset(
    {"RESOLVING", "PULLING", "CREATING", "CREATING_AGAIN", "ATTACHING", "ATTACHING_AGAIN", "STARTING", "STARTING_AGAIN"}
    | {"LINKING"}
)


class Pool:
    """Spares as the file's own settings, which `docker` tells, make them now. `make` gives life to one."""

    def __init__(self, world: World, docker: Callable[[], Docker], make: Make) -> None:
        self.world, self._docker = world, docker
        self.hits = self.misses = self.made = 0
        self._make = make
        self._spares: list[SpareActor] = []
        self._logins: deque[float] = deque()
        self._wake = trio.Event()
        self._failures = 0
        self._not_before = 0.0
        self._draining = False

    @property
    def _settings(self) -> PoolSettings:
        return self._docker().pool

    @property
    def _image(self) -> str:
        return str(self._docker().execution.container["Image"])

    def statistics(self) -> dict[str, Any]:
        """Sizes, and how many logins found one ready."""
        ready = sum(spare.is_ready for spare in self._spares)
        asked = self.hits + self.misses
        return {
            "wanted": self.wanted,
            "ready": ready,
            "filling": len(self._spares) - ready,
            "hits": self.hits,
            "misses": self.misses,
            "hit_rate": round(self.hits / asked, 3) if asked else None,
        }

    @property
    def wanted(self) -> int:
        """How many spares there are to be now."""
        if self._draining:
            return 0
        if self._settings.size != "auto":
            return self._settings.size
        now = trio.current_time()
        while self._logins and self._logins[0] < now - AFTERGLOW_S:
            self._logins.popleft()
        lately = sum(when >= now - DEMAND_S for when in self._logins)
        return min(self._settings.max, max(lately, bool(self._logins)))

    def adopt(self) -> None:
        """There are new settings. Spares that would be made otherwise now, or are too many, go."""
        waiting = [spare for spare in self._spares if not spare.promised]
        fitting = [spare for spare in waiting if shape(spare.settings.docker) == shape(self._docker())]
        for spare in waiting:
            if spare not in fitting:
                spare.retire("the configuration has changed")
        for spare in fitting[self.wanted :]:
            spare.retire("fewer are wanted")
        self._failures, self._not_before = 0, 0.0
        self._wake.set()

    def claim(self, owner: str, container: str, docker: Docker) -> bool:
        """Promise a spare to a login that has these settings; False: there is none, or they make another container."""
        wanted = shape(docker)
        if not self._settings.size or wanted != shape(self._docker()):
            return False
        self._logins.append(trio.current_time())
        self._wake.set()
        for spare in self._spares:
            ready = self.world.actors.get(spare.cell.container)
            fits = spare.is_ready and shape(spare.settings.docker) == wanted
            # Not one that is unwatched: it may be gone, and the login would find that out.
            if fits and ready is not None and ready.cell.state == "RUNNING":
                # At once, so that an owner that goes before the claim is heard ends the right container.
                self.world.alias(container, ready)
                spare.claim(owner, container)
                self.hits += 1
                return True
        self.misses += 1
        return False

    def drain(self) -> None:
        """No more of them, and those that are there go."""
        self._draining = True
        for spare in self._spares:
            spare.post(DrainWanted())

    async def run(self) -> None:
        """For ever: fill, and look whether the image has changed. Without a pool, until a reload brings one."""
        looked = trio.current_time()
        while True:
            wait_s = self._top_up()
            with trio.move_on_after(wait_s):
                await self._wake.wait()
            self._wake = trio.Event()
            if trio.current_time() >= looked + LOOK_S:
                looked = trio.current_time()
                await self._look()

    def _top_up(self) -> float:
        """Make one if it is time to; seconds until it is worth asking again."""
        if not self._settings.size:
            return inf
        now = trio.current_time()
        filling = sum(spare.cell.state in ("EMPTY", "FILLING") for spare in self._spares)
        there = sum(not spare.promised for spare in self._spares)
        if there >= self.wanted or filling >= FILLING_MAX:
            return LOOK_S
        if now < self._not_before:
            return self._not_before - now
        if self._is_login_starting():
            return QUIET_S
        if there and self._logins and now < self._logins[-1] + QUIET_S:
            return self._logins[-1] + QUIET_S - now
        self.made += 1
        id = self.world.fresh_id()[:12]
        wanted = SpareWanted(
            spare=f"sp-{id}", container=f"{SPARE_NAME}{id}", image=self._image, seconds={"ttl": self._settings.ttl}
        )
        self._spares.append(self._make(wanted, self._stepped))
        return LOOK_S

    def _is_login_starting(self) -> bool:
        own = {spare.cell.container for spare in self._spares}
        actors = self.world.actors.values()
        return any(isinstance(a, ContainerActor) and a.cell.state in STARTING and a.id not in own for a in actors)

    def _stepped(self, spare: SpareActor) -> None:
        self._wake.set()
        if not spare.ended:
            return
        self._spares.remove(spare)
        if spare.cell.state in ("FAILED", "LOST"):  # lost: its first program may end as soon as it has begun
            self._failures += 1
            pause = min(FAILURE_S_MAX, FAILURE_S_MIN * 2.0 ** (self._failures - 1))
            self._not_before = trio.current_time() + pause
        elif spare.cell.state in ("CLAIMED", "RETIRED"):
            self._failures = 0
        for claim in spare.unheard():  # it has ended in this very moment
            why = codes.MOORAGE_SPARE_LOST.user
            self.world.post(claim.owner, ContainerFailed(code=codes.MOORAGE_SPARE_LOST.name, why=why))

    async def _look(self) -> None:
        """Spares whose image has moved on are replaced. An engine that does not answer is asked again later."""
        engine = self.world.engine
        if not self._spares:
            return
        try:
            now = await engine.inspect_image(self._image)
            for spare in tuple(self._spares):
                if spare.is_ready and not spare.image_id:
                    spare.image_id = await engine.container_image(spare.cell.container)
                if spare.is_ready and spare.image_id not in ("", now):
                    spare.retire("its image has changed")
        except EngineFault:
            return
