"""The warm pool: how many spares there are to be of which settings, when they are made, and which login gets one.

Spares are grouped by all that a container has in it while it waits (`orders.shape`). With a number there is one group,
that of the file's own settings; with `auto` one for each that was logged into lately, and no more than `max` in all.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import trio

from actors.container import ContainerActor
from actors.orders import ahead, shape
from actors.ports import EngineFault
from actors.spare import SpareActor
from actors.world import World
from protocol import codes
from protocol.connection import DrainWanted
from protocol.container import ContainerFailed
from protocol.settings import Docker, Settings
from protocol.settings import Pool as PoolSettings
from protocol.settings_part import with_each_part
from protocol.spare import SpareWanted

Make = Callable[[SpareWanted, Settings, Callable[[SpareActor], None]], SpareActor]

SPARE_NAME = "moorage-spare-"  # and twelve hex digits, until it is claimed
FILLING_MAX = 1  # the engine starts containers one after the other; more would only stand in a login's way
QUIET_S = 0.3  # without a login, before spares are made while there are others
LOOK_S = 10.0  # between two looks at the image
DEMAND_S = 60.0  # `auto`: logins of the last minute are to be met at once
AFTERGLOW_S = 600.0  # and one is kept ready for so long after the last
FAILURE_S_MIN, FAILURE_S_MAX = 1.0, 60.0
LOGINS_MAX = 1000  # remembered of one group; more spares than that are never wanted
STARTING = frozenset(
    {"RESOLVING", "PULLING", "CREATING", "CREATING_AGAIN", "ATTACHING", "ATTACHING_AGAIN", "STARTING", "STARTING_AGAIN"}
    | {"LINKING"}
)


class Group:
    """Spares that are alike: made by `settings`, which have nothing of a user in them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.spares: list[SpareActor] = []
        self.logins: deque[float] = deque(maxlen=LOGINS_MAX)
        self.failures, self.not_before = 0, 0.0

    @property
    def image(self) -> str:
        return str(self.settings.docker.execution.container["Image"])

    @property
    def waiting(self) -> list[SpareActor]:
        """Those that nobody has yet, the oldest first."""
        return [spare for spare in self.spares if not spare.promised]

    @property
    def last(self) -> float:
        return self.logins[-1] if self.logins else -inf

    def lately(self, now: float) -> int:
        """Logins that are to be met at once, were they to come again."""
        while self.logins and self.logins[0] < now - AFTERGLOW_S:
            self.logins.popleft()
        return max(sum(when >= now - DEMAND_S for when in self.logins), bool(self.logins))


class Pool:
    """`settings` are the file's own, now. `may_wait`: a container of such settings is of use before its login is
    there. `make` gives life to a spare."""

    def __init__(
        self, world: World, settings: Callable[[], Settings], may_wait: Callable[[Settings], bool], make: Make
    ) -> None:
        self.world, self._settings, self._may_wait, self._make = world, settings, may_wait, make
        self.hits = self.misses = self.made = 0
        self._groups: dict[bytes, Group] = {}
        self._own: tuple[Docker | None, bytes] = (None, b"")  # of the file's settings, and their shape
        self._wake = trio.Event()
        self._draining = False

    @property
    def _pool(self) -> PoolSettings:
        return self._settings().docker.pool

    def statistics(self) -> dict[str, Any]:
        """Sizes, and how many logins found one ready."""
        wanted = self._wanted()
        groups = [
            {"image": group.image, "wanted": wanted.get(key, 0), **_sizes(group.spares)}
            for key, group in self._groups.items()
        ]
        asked = self.hits + self.misses
        return {
            "wanted": sum(wanted.values()),
            **_sizes([spare for group in self._groups.values() for spare in group.spares]),
            "hits": self.hits,
            "misses": self.misses,
            "hit_rate": round(self.hits / asked, 3) if asked else None,
            "groups": groups,
        }

    def _wanted(self) -> dict[bytes, int]:
        """How many spares there are to be now, by group: one for each first, and those that were asked for last before
        others."""
        pool = self._pool
        if self._draining or not pool.size:
            return {}
        if pool.size != "auto":
            own = self._settings()
            return {self._group(own): pool.size} if self._may_wait(own) else {}
        now = trio.current_time()
        lately = {key: count for key, group in self._groups.items() if (count := group.lately(now))}
        recent = sorted(lately, key=lambda key: self._groups[key].last, reverse=True)[: pool.max]
        wanted, left = dict.fromkeys(recent, 1), pool.max - len(recent)
        for key in recent:
            more = min(left, lately[key] - 1)
            wanted[key], left = wanted[key] + more, left - more
        return wanted

    def _group(self, settings: Settings) -> bytes:
        """The key of the group of these settings, which is there from now on."""
        key = self._shape(settings.docker)
        if key not in self._groups:
            self._groups[key] = Group(ahead(settings))
        return key

    def _shape(self, docker: Docker) -> bytes:
        """Made once for the file's own: most logins have these, and each step of a spare asks."""
        own = self._settings().docker
        if self._own[0] is not own:
            self._own = own, shape(own)
        return self._own[1] if docker is own else shape(docker)

    def adopt(self) -> None:
        """There are new settings. Spares that none of them would make now, or that are too many, go."""
        known = {shape(one.docker): one for one in with_each_part(self._settings())}
        for key, group in self._groups.items():
            group.failures, group.not_before = 0, 0.0
            if key in known:
                group.settings = ahead(known[key])
                continue
            group.logins.clear()
            for spare in group.waiting:
                spare.retire("the configuration has changed")
        wanted = self._wanted()
        for key, group in self._groups.items():
            for spare in group.waiting[wanted.get(key, 0) :]:
                spare.retire("fewer are wanted")
        self._wake.set()

    def claim(self, owner: str, container: str, settings: Settings) -> bool:
        """Promise a spare to a login that has these settings; False: there is none, or there are to be none of them."""
        pool = self._pool
        if not pool.size or settings.docker.execution.containername:
            return False
        if pool.size != "auto" and self._shape(settings.docker) != self._shape(self._settings().docker):
            return False
        group = self._groups[self._group(settings)]
        group.logins.append(trio.current_time())
        self._wake.set()
        for spare in group.spares:
            ready = self.world.actors.get(spare.cell.container)
            # Not one that is unwatched: it may be gone, and the login would find that out.
            if spare.is_ready and ready is not None and ready.cell.state == "RUNNING":
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
        for group in self._groups.values():
            for spare in group.spares:
                spare.post(DrainWanted())

    async def run(self) -> None:
        """For ever: fill, and look whether an image has changed. Without a pool, until a reload brings one."""
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
        if not self._pool.size:
            return inf
        now, wanted = trio.current_time(), self._wanted()
        self._groups = {key: one for key, one in self._groups.items() if one.spares or one.lately(now) or key in wanted}
        lacking = [group for key in wanted if len((group := self._groups[key]).waiting) < wanted[key]]
        filling = sum(spare.cell.state in ("EMPTY", "FILLING") for one in self._groups.values() for spare in one.spares)
        if not lacking or filling >= FILLING_MAX:
            return LOOK_S
        group = min(lacking, key=lambda one: (max(one.not_before - now, 0.0), bool(one.waiting)))
        if now < group.not_before:
            return group.not_before - now
        if self._is_login_starting():
            return QUIET_S
        last = max(one.last for one in self._groups.values())
        if group.waiting and now < last + QUIET_S:
            return last + QUIET_S - now
        self._make_room(wanted)
        self._fill(group)
        return LOOK_S

    def _make_room(self, wanted: dict[bytes, int]) -> None:
        """`max` is for all: one that is wanted no more goes for one that is."""
        waiting = sum(len(group.waiting) for group in self._groups.values())
        surplus = [one.waiting[0] for key, one in self._groups.items() if len(one.waiting) > wanted.get(key, 0)]
        if self._pool.size == "auto" and waiting >= self._pool.max and surplus:
            surplus[0].retire("others are wanted")

    def _fill(self, group: Group) -> None:
        self.made += 1
        id = self.world.fresh_id()[:12]
        wanted = SpareWanted(
            spare=f"sp-{id}", container=f"{SPARE_NAME}{id}", image=group.image, seconds={"ttl": self._pool.ttl}
        )
        group.spares.append(self._make(wanted, group.settings, partial(self._stepped, group)))

    def _is_login_starting(self) -> bool:
        own = {spare.cell.container for group in self._groups.values() for spare in group.spares}
        actors = self.world.actors.values()
        return any(isinstance(a, ContainerActor) and a.cell.state in STARTING and a.id not in own for a in actors)

    def _stepped(self, group: Group, spare: SpareActor) -> None:
        self._wake.set()
        if not spare.ended:
            return
        group.spares.remove(spare)
        if spare.cell.state in ("FAILED", "LOST"):  # lost: its first program may end as soon as it has begun
            group.failures += 1
            pause = min(FAILURE_S_MAX, FAILURE_S_MIN * 2.0 ** (group.failures - 1))
            group.not_before = trio.current_time() + pause
        elif spare.cell.state in ("CLAIMED", "RETIRED"):
            group.failures = 0
        for claim in spare.unheard():  # it has ended in this very moment
            why = codes.MOORAGE_SPARE_LOST.user
            self.world.post(claim.owner, ContainerFailed(code=codes.MOORAGE_SPARE_LOST.name, why=why))

    async def _look(self) -> None:
        """Spares whose image has moved on are replaced. An engine that does not answer is asked again later."""
        engine = self.world.engine
        for group in tuple(self._groups.values()):
            if not group.spares:
                continue
            try:
                now = await engine.inspect_image(group.image)
                for spare in tuple(group.spares):
                    if spare.is_ready and not spare.image_id:
                        spare.image_id = await engine.container_image(spare.cell.container)
                    if spare.is_ready and spare.image_id not in ("", now):
                        spare.retire("its image has changed")
            except EngineFault:
                continue


def _sizes(spares: list[SpareActor]) -> dict[str, int]:
    ready = sum(spare.is_ready for spare in spares)
    return {"ready": ready, "filling": len(spares) - ready}
