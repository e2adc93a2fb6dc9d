"""The image actor: looks and pulls, once for all who wait."""

from collections.abc import Callable, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

import trio
from msgspec import to_builtins

from actors.actor import Actor
from actors.recorder import SharedLog
from fsm.image import IMAGE, ImageCell
from protocol.base import Effect, Event
from protocol.image import (
    OUTCOMES,
    CancelPull,
    ImageFound,
    ImagePulled,
    ImageWanted,
    InspectImage,
    PullImage,
    PullProgressed,
    WaiterLeft,
)
from protocol.settings import RegistryAuth

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.world import World


LOOK_S = 5.0  # an engine under load answers late


class ImageActor(Actor):
    """Shared between connections; the supervisor finds it by reference, platform and registry login. `auth` is secret,
    and no event has it."""

    kind = IMAGE
    queued = frozenset({InspectImage})
    beside = frozenset({PullImage})
    outcomes = OUTCOMES
    cell: ImageCell

    def __init__(
        self,
        world: "World",
        id: str,
        ledger: "Ledger",
        about: dict[str, Any],
        platform: Mapping[str, Any],
        auth: RegistryAuth,
        on_end: Callable[["ImageActor"], None],
    ) -> None:
        super().__init__(world, id, ledger, about)
        self.platform, self.auth, self._on_end = platform, auth, on_end
        self._asked = inf
        self._recordings: dict[str, Ledger] = {}  # waiter -> the one that has to hear of its leaving

    @property
    def is_stuck(self) -> bool:
        """The engine has not said for a while whether it has the image. Who comes now asks anew, and may be luckier."""
        return self.cell.state == "INSPECTING" and trio.current_time() > self._asked + LOOK_S

    def end(self) -> None:
        super().end()
        for waiter in tuple(self._recordings):
            self._release(waiter)
        self._on_end(self)

    def record_in(self, recording: "Ledger", waiter: str) -> None:
        """Our steps are in `recording` too, which is not complete before the waiter has left or we have ended."""
        assert isinstance(self.ledger, SharedLog)
        recording.join(self.ledger)
        recording.enlist(f"{self.id} for {waiter}")
        self._recordings[waiter] = recording

    def _release(self, waiter: str) -> None:
        if recording := self._recordings.pop(waiter, None):
            recording.leave(f"{self.id} for {waiter}")

    def _step(self, event: Event) -> None:
        super()._step(event)
        if isinstance(event, WaiterLeft):
            self._release(event.waiter)

    def perform(self, effect: Effect) -> None:
        match effect:
            case CancelPull():
                self.drop(PullImage)
            case _:
                super().perform(effect)

    async def work(self, effect: Effect) -> Event:
        engine = self.world.engine
        match effect:
            case InspectImage(reference=reference):
                self._asked = trio.current_time()
                return ImageFound(image_id=await engine.inspect_image(reference))
            case PullImage(reference=reference):
                login = {name: value for name, value in to_builtins(self.auth).items() if value}
                await engine.pull_image(reference, self.platform, login, self._progress)
                return ImagePulled()
        return await super().work(effect)

    def _progress(self, line: str) -> None:
        self.offer(PullProgressed(line=line))

    def late_wishes(self) -> list[ImageWanted]:
        """Wishes that came while it was ending: they belong to the next actor for this image."""
        return [event for event in self.unread() if isinstance(event, ImageWanted)]
