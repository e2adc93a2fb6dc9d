"""What is said to the image machine, and what it asks for. One image actor lives for one look or one pull."""

from enum import Enum

from protocol.base import Effect, Event, Fault
from protocol.settings import ImagePullPolicy


class ImageState(Enum):
    UNASKED = "unasked"
    INSPECTING = "inspecting"
    INSPECTING_AGAIN = "inspecting_again"
    PULLING = "pulling"
    PULLING_AGAIN = "pulling_again"
    READY = "ready"
    FAILED = "failed"
    ABANDONED = "abandoned"


class ImageWanted(Event, frozen=True, kw_only=True, tag="image_wanted"):
    """`waiter`, a container actor, cannot go on without this image. `platform` is os[/arch[/variant]] or empty."""

    waiter: str
    reference: str
    platform: str
    policy: ImagePullPolicy


class WaiterLeft(Event, frozen=True, kw_only=True, tag="waiter_left"):
    waiter: str


class ImageFound(Event, frozen=True, kw_only=True, tag="image_found"):
    """It is on this host; `image_id` is its content id."""

    image_id: str


class ImageInspectFailed(Fault, frozen=True, kw_only=True, tag="image_inspect_failed"):
    """Fault class not_found: it is not on this host."""


class ImagePulled(Event, frozen=True, kw_only=True, tag="image_pulled"): ...


class PullFailed(Fault, frozen=True, kw_only=True, tag="pull_failed"): ...


class PullProgressed(Event, frozen=True, kw_only=True, tag="pull_progressed"):
    """A line for people, with sizes."""

    line: str


class ImagePullBegan(Event, frozen=True, kw_only=True, tag="image_pull_began"):
    """To each waiter: it is not here, or may be outdated; what is waited for from now on is the registry."""


class ImageReady(Event, frozen=True, kw_only=True, tag="image_ready"):
    """To each waiter: go on."""


class ImageRemembered(Event, frozen=True, kw_only=True, tag="image_remembered"):
    """To a container: the engine had it when it was asked last, so go on. Whether it still has it, the create says."""


class ImageFailed(Event, frozen=True, kw_only=True, tag="image_failed"):
    """To each waiter: there will be no image. `why` is a sentence for the user."""

    code: str
    why: str


class InspectImage(Effect, frozen=True, kw_only=True, tag="inspect_image"):
    reference: str


class PullImage(Effect, frozen=True, kw_only=True, tag="pull_image"):
    """Credentials and the platform's full form come from the settings."""

    reference: str


class CancelPull(Effect, frozen=True, kw_only=True, tag="cancel_pull"):
    """Nobody waits any more: let go of the pull. It has no outcome."""


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {
    InspectImage: (ImageFound, ImageInspectFailed),
    PullImage: (ImagePulled, PullFailed),
}
