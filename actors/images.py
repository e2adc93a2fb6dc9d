"""The image actors of a daemon: one for each image, platform and registry login that is asked for now, however many
wait for it."""

from collections.abc import Mapping
from typing import Any

from actors.container import ContainerActor
from actors.image import ImageActor
from actors.world import World
from fsm.image import will_do_as_it_is
from protocol import codes
from protocol.container import WantImage
from protocol.image import ImageFailed, ImageRemembered, ImageWanted, WaiterLeft
from protocol.settings import RegistryAuth

REMEMBERED_MAX = 1000  # a webhook may give each login another


class Images:
    def __init__(self, world: World) -> None:
        self.world = world
        self._images: dict[tuple[str, str, RegistryAuth], ImageActor] = {}
        self._image_of: dict[str, ImageActor] = {}  # container actor -> the image actor it waits for
        self._remembered: set[str] = set()  # references that the engine had when it was asked last
        self._count = 0

    def want(
        self, platform: Mapping[str, Any], auth: RegistryAuth, container: ContainerActor, effect: WantImage
    ) -> None:
        """This container waits for this image from now on. Who logs in otherwise at the registry pulls by itself."""
        if effect.reference in self._remembered and will_do_as_it_is(effect.reference, effect.policy):
            container.post(ImageRemembered())
            return
        key = (effect.reference, effect.platform, auth)
        image = self._images.get(key)
        wanted = ImageWanted(
            waiter=container.id, reference=effect.reference, platform=effect.platform, policy=effect.policy
        )
        if image is None or image.ended or image.is_stuck:
            self._count += 1
            log = self.world.recorder.share()
            about: dict[str, Any] = {"image": effect.reference}
            image = ImageActor(self.world, f"im-{self._count}", log, about, platform, auth, self._ended)
            self._images[key] = image
            self.world.spawn(image, wanted)
        else:
            image.post(wanted)
        self._image_of[container.id] = image
        image.record_in(container.ledger, container.id)

    def leave(self, container: ContainerActor) -> None:
        """It waits no more."""
        if image := self._image_of.pop(container.id, None):
            image.post(WaiterLeft(waiter=container.id))

    def forget(self, reference: str) -> None:
        """The next that wants it asks the engine."""
        self._remembered.discard(reference)

    def _remember(self, reference: str) -> None:
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered.add(reference)

    def disown(self, image: ImageActor) -> None:
        """It may still be alive and will never answer: who waits is told, and who comes next gets another."""
        self._images = {key: actor for key, actor in self._images.items() if actor is not image}
        code = codes.MOORAGE_CONNECTION_CRASHED
        for waiter in image.cell.waiters:
            self.world.post(waiter, ImageFailed(code=code.name, why=code.user))
            image.post(WaiterLeft(waiter=waiter))

    def _ended(self, image: ImageActor) -> None:
        """Wishes that came while it was ending go to a new one."""
        if image.cell.state == "READY":
            self._remember(image.cell.reference)
        self._images = {key: actor for key, actor in self._images.items() if actor is not image}
        self._image_of = {waiter: actor for waiter, actor in self._image_of.items() if actor is not image}
        for wish in image.late_wishes():
            container = self.world.actors.get(wish.waiter)
            if isinstance(container, ContainerActor):
                again = WantImage(reference=wish.reference, platform=wish.platform, policy=wish.policy)
                self.want(image.platform, image.auth, container, again)
