"""A container that is made ahead of its login. It is claimed once, by one login, and there is no way back."""

from fsm.kernel import Cell, Effects, Kind, Row
from protocol import codes
from protocol.base import DeadlinePassed, Event, Tell
from protocol.connection import DrainWanted, LandContainer
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerProgressed, StopWanted
from protocol.spare import ClaimWanted, HandOver, SpareWanted, StaleFound
from protocol.spare import SpareState as S

TTL = "ttl"  # docker.pool.ttl: how old a spare may be when it is claimed


class SpareCell(Cell):
    state: str = S.EMPTY.name
    container: str = ""


def fill(cell: SpareCell, event: SpareWanted) -> Effects:
    cell.container, cell.seconds = event.container, dict(event.seconds)
    return (LandContainer(container=event.container, image=event.image),)


def hand_over(cell: SpareCell, event: ClaimWanted) -> Effects:
    return (HandOver(container=cell.container, owner=event.owner, name=event.container),)


def retire(cell: SpareCell, event: Event) -> Effects:
    why = event.why if isinstance(event, StaleFound) else "it is too old, or the server is ending"
    return (Tell(to=cell.container, event=StopWanted(why=why)),)


DEADLINES = {TTL: (S.READY,)}

READY, CLAIMED = codes.MOORAGE_SPARE_READY, codes.MOORAGE_SPARE_CLAIMED
FAILED, LOST, RETIRED = codes.MOORAGE_SPARE_FAILED, codes.MOORAGE_SPARE_LOST, codes.MOORAGE_SPARE_RETIRED

# fmt: off
ROWS = (
    #   id        in state   on                   to         do         when  says
    Row("SP0101", S.EMPTY,   SpareWanted,         S.FILLING, fill),

    Row("SP0201", S.FILLING, ContainerLanded,     S.READY,   None,      None, (READY,)),
    Row("SP0202", S.FILLING, ContainerFailed,     S.FAILED,  None,      None, (FAILED,)),
    Row("SP0203", S.FILLING, ContainerProgressed, None),
    Row("SP0204", S.FILLING, StaleFound,          S.RETIRED, retire,    None, (RETIRED,)),
    Row("SP0205", S.FILLING, DrainWanted,         S.RETIRED, retire,    None, (RETIRED,)),

    Row("SP0301", S.READY,   ClaimWanted,         S.CLAIMED, hand_over, None, (CLAIMED,)),
    Row("SP0302", S.READY,   ContainerExited,     S.LOST,    None,      None, (LOST,)),
    Row("SP0303", S.READY,   DeadlinePassed,      S.RETIRED, retire,    None, (RETIRED,), TTL),
    Row("SP0304", S.READY,   StaleFound,          S.RETIRED, retire,    None, (RETIRED,)),
    Row("SP0305", S.READY,   DrainWanted,         S.RETIRED, retire,    None, (RETIRED,)),
)
# fmt: on

SPARE = Kind("spare", S, S.EMPTY, ROWS, DEADLINES, final=(S.CLAIMED, S.FAILED, S.LOST, S.RETIRED), cell=SpareCell)
