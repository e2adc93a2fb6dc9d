"""The image actor: looks and pulls, once for all who wait."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
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
)

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.world import World


class ImageActor(Actor):
    """Shared between connections; the supervisor finds it by reference and platform."""

    kind = IMAGE
    queued = frozenset({InspectImage})
    beside = frozenset({PullImage})
    outcomes = OUTCOMES
    cell: ImageCell

    def __init__(
        self, world: "World", id: str, ledger: "Ledger", about: dict[str, Any], on_end: Callable[["ImageActor"], None]
    ) -> None:
        super().__init__(world, id, ledger, about)
        self._on_end = on_end

    async def run(self) -> None:
        await super().run()
        self._on_end(self)

    def perform(self, effect: Effect) -> None:
        match effect:
            case CancelPull():
                self.drop(PullImage)
            case _:
                super().perform(effect)

    async def work(self, effect: Effect) -> Event:
        engine, execution = self.world.engine, self.world.settings.docker.execution
        match effect:
            case InspectImage(reference=reference):
                return ImageFound(image_id=await engine.inspect_image(reference))
            case PullImage(reference=reference):
                await engine.pull_image(reference, execution.platform, {}, self._progress)
                return ImagePulled()
        return await super().work(effect)

    def _progress(self, line: str) -> None:
        self.offer(PullProgressed(line=line))

    def late_wishes(self) -> list[ImageWanted]:
        """Wishes that came while it was ending: they belong to the next actor for this image."""
        return [event for event in self.unread() if isinstance(event, ImageWanted)]
