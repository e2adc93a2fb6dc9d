"""The engine's list of containers, of which little is wanted: it may be long, and is asked for each second at times."""

from collections.abc import Sequence

import msgspec

from actors.engine.faults import one_line
from actors.ports import EngineFault, FoundContainer


class _Listed(msgspec.Struct, rename="pascal"):
    id: str
    names: list[str]
    labels: dict[str, str] | None = None


_DECODER = msgspec.json.Decoder(list[_Listed])


def found_containers(answer: bytes) -> list[FoundContainer]:
    """What `GET /containers/json` has answered. Raises `EngineFault`: it is something else."""
    try:
        listed = _DECODER.decode(answer)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EngineFault("internal", one_line(f"the engine's answer is not understood: {error}")) from error
    return [FoundContainer(id=one.id, name=_own_name(one.names), labels=one.labels or {}) for one in listed]


def _own_name(names: Sequence[str]) -> str:
    """A container's own name; the others in its list are links to it from other containers (`/other/alias`)."""
    return next((name[1:] for name in names if name.count("/") == 1), "")
