"""One image, from the first login that needs it to the moment it is here: the pull policy as rows.

Shared by every container that waits for the same reference and platform, so that a hundred logins cause one pull.
It lives for one look or one pull; the next login makes a new one. Nobody's deadline is armed here: each waiter brings
its own containerStart budget and leaves when it is used up, and the last one to leave takes the pull with it.
"""

from fsm.kernel import Effects, Kind, Row
from fsm.retry import BACKOFF, RetryCell, back_off, may_try_again
from protocol import codes
from protocol.base import DeadlinePassed, Event, Fault, Tell
from protocol.codes import Code
from protocol.image import (
    CancelPull,
    ImageFailed,
    ImageFound,
    ImageInspectFailed,
    ImagePullBegan,
    ImagePulled,
    ImageReady,
    ImageWanted,
    InspectImage,
    PullFailed,
    PullImage,
    PullProgressed,
    WaiterLeft,
)
from protocol.image import ImageState as S
from protocol.settings import ImagePullPolicy


def will_do_as_it_is(reference: str, policy: ImagePullPolicy) -> bool:
    """Whether no registry is asked for what the engine has."""
    return policy == "Never" or (policy == "IfNotPresent" and not _moves(reference))


def _moves(reference: str) -> bool:
    tag = reference.rpartition("/")[2].partition(":")[2]
    return "@" not in reference and tag in ("", "latest")


class ImageCell(RetryCell):
    """`waiters` are container actors, in the order they came."""

    state: str = S.UNASKED.name
    reference: str = ""
    policy: ImagePullPolicy = "IfNotPresent"
    waiters: tuple[str, ...] = ()


# Guards


def policy_is_always(cell: ImageCell, event: ImageWanted) -> bool:
    return event.policy == "Always"


def tag_is_latest_or_empty(cell: ImageCell, event: ImageWanted) -> bool:
    """Kubernetes' rule, and that of ContainerSSH 0.4: such a tag moves, so IfNotPresent asks the registry."""
    return event.policy == "IfNotPresent" and _moves(event.reference)


def is_absent_and_may_not_be_pulled(cell: ImageCell, event: Fault) -> bool:
    return event.fault == "not_found" and cell.policy == "Never"


def is_absent(cell: ImageCell, event: Fault) -> bool:
    return event.fault == "not_found"


def was_last_waiter(cell: ImageCell, event: WaiterLeft) -> bool:
    return cell.waiters == (event.waiter,)


# Makers


def inspect(cell: ImageCell, event: Event) -> Effects:
    _note(cell, event)
    return (InspectImage(reference=cell.reference),)


def pull(cell: ImageCell, event: Event) -> Effects:
    _note(cell, event)
    cell.tries = 0
    return PullImage(reference=cell.reference), *_tell(cell, ImagePullBegan())


def pull_again(cell: ImageCell, event: DeadlinePassed) -> Effects:
    return (PullImage(reference=cell.reference),)


def _note(cell: ImageCell, event: Event) -> None:
    if isinstance(event, ImageWanted):
        cell.reference, cell.policy, cell.waiters = event.reference, event.policy, (event.waiter,)


def join(cell: ImageCell, event: ImageWanted) -> Effects:
    cell.waiters = (*cell.waiters, event.waiter)
    return ()


def join_pull(cell: ImageCell, event: ImageWanted) -> Effects:
    return *join(cell, event), Tell(to=event.waiter, event=ImagePullBegan())


def leave(cell: ImageCell, event: WaiterLeft) -> Effects:
    cell.waiters = tuple(waiter for waiter in cell.waiters if waiter != event.waiter)
    return ()


def abandon(cell: ImageCell, event: WaiterLeft) -> Effects:
    cell.waiters = ()
    return (CancelPull(),)


def pass_on(cell: ImageCell, event: PullProgressed) -> Effects:
    return _tell(cell, event)


def ready(cell: ImageCell, event: Event) -> Effects:
    return _tell(cell, ImageReady())


def fail_look(cell: ImageCell, event: Fault) -> Effects:
    return _fail(cell, codes.DOCKER_IMAGE_LISTING_FAILED, event)


def fail_absent(cell: ImageCell, event: Fault) -> Effects:
    return _fail(cell, codes.MOORAGE_IMAGE_ABSENT, event)


def fail_pull(cell: ImageCell, event: Fault) -> Effects:
    return _fail(cell, codes.DOCKER_IMAGE_PULL_FAILED, event)


def _fail(cell: ImageCell, code: Code, event: Fault) -> Effects:
    return _tell(cell, ImageFailed(code=code.name, why=code.user.format(reference=cell.reference, why=event.why)))


def _tell(cell: ImageCell, event: Event) -> Effects:
    return tuple(Tell(to=waiter, event=event) for waiter in cell.waiters)


DEADLINES = {BACKOFF: (S.INSPECTING_AGAIN, S.PULLING_AGAIN)}

CHECKING = codes.DOCKER_IMAGE_PULL_NEEDED_CHECKING
PULL = codes.DOCKER_IMAGE_PULL
PULLED = codes.MOORAGE_IMAGE_PULLED
PULL_FAILED = codes.DOCKER_IMAGE_PULL_FAILED
LISTING = codes.DOCKER_IMAGE_LISTING
LISTING_FAILED = codes.DOCKER_IMAGE_LISTING_FAILED
ABSENT = codes.MOORAGE_IMAGE_ABSENT
ABANDONED = codes.MOORAGE_IMAGE_PULL_ABANDONED

# fmt: off
ROWS = (
    #   id        in state            on                  to                  do           when                             says
    Row("IM0101", S.UNASKED,          ImageWanted,        S.PULLING,          pull,        policy_is_always,                (CHECKING, PULL)),
    Row("IM0102", S.UNASKED,          ImageWanted,        S.PULLING,          pull,        tag_is_latest_or_empty,          (CHECKING, PULL)),
    Row("IM0103", S.UNASKED,          ImageWanted,        S.INSPECTING,       inspect,     None,                            (CHECKING, LISTING)),

    Row("IM0201", S.INSPECTING,       ImageFound,         S.READY,            ready),
    Row("IM0202", S.INSPECTING,       ImageInspectFailed, S.FAILED,           fail_absent, is_absent_and_may_not_be_pulled, (ABSENT,)),
    Row("IM0203", S.INSPECTING,       ImageInspectFailed, S.PULLING,          pull,        is_absent,                       (PULL,)),
    Row("IM0204", S.INSPECTING,       ImageInspectFailed, S.INSPECTING_AGAIN, back_off,    may_try_again,                   (LISTING_FAILED.quiet(),)),
    Row("IM0205", S.INSPECTING,       ImageInspectFailed, S.FAILED,           fail_look,   None,                            (LISTING_FAILED,)),
    Row("IM0206", S.INSPECTING,       ImageWanted,        None,               join),
    Row("IM0207", S.INSPECTING,       WaiterLeft,         S.ABANDONED,        abandon,     was_last_waiter,                 (ABANDONED,)),
    Row("IM0208", S.INSPECTING,       WaiterLeft,         None,               leave),

    Row("IM0301", S.INSPECTING_AGAIN, DeadlinePassed,     S.INSPECTING,       inspect,     None,                            (LISTING,), BACKOFF),
    Row("IM0302", S.INSPECTING_AGAIN, ImageWanted,        None,               join),
    Row("IM0303", S.INSPECTING_AGAIN, WaiterLeft,         S.ABANDONED,        abandon,     was_last_waiter,                 (ABANDONED,)),
    Row("IM0304", S.INSPECTING_AGAIN, WaiterLeft,         None,               leave),

    Row("IM0401", S.PULLING,          ImagePulled,        S.READY,            ready,       None,                            (PULLED,)),
    Row("IM0402", S.PULLING,          PullProgressed,     None,               pass_on),
    Row("IM0403", S.PULLING,          PullFailed,         S.PULLING_AGAIN,    back_off,    may_try_again,                   (PULL_FAILED.quiet(),)),
    Row("IM0404", S.PULLING,          PullFailed,         S.FAILED,           fail_pull,   None,                            (PULL_FAILED,)),
    Row("IM0405", S.PULLING,          ImageWanted,        None,               join_pull),
    Row("IM0406", S.PULLING,          WaiterLeft,         S.ABANDONED,        abandon,     was_last_waiter,                 (ABANDONED,)),
    Row("IM0407", S.PULLING,          WaiterLeft,         None,               leave),

    Row("IM0501", S.PULLING_AGAIN,    DeadlinePassed,     S.PULLING,          pull_again,  None,                            (PULL,), BACKOFF),
    Row("IM0502", S.PULLING_AGAIN,    PullProgressed,     None,               pass_on),  # its last line crossed the failure
    Row("IM0503", S.PULLING_AGAIN,    ImageWanted,        None,               join_pull),
    Row("IM0504", S.PULLING_AGAIN,    WaiterLeft,         S.ABANDONED,        abandon,     was_last_waiter,                 (ABANDONED,)),
    Row("IM0505", S.PULLING_AGAIN,    WaiterLeft,         None,               leave),
)
# fmt: on

IMAGE = Kind("image", S, S.UNASKED, ROWS, DEADLINES, final=(S.READY, S.FAILED, S.ABANDONED), cell=ImageCell)
