"""Moorage: an SSH server that lands every login in its own container.

The rooms (`actors`, `fsm`, `protocol`) are imported flat. In a checkout they lie beside this folder, in a wheel under
`moorage/_rooms/`; importing `moorage` puts their home last on `sys.path` and then makes sure that each name leads
there. It does nothing else, so that it costs next to nothing: what a program embeds is imported when it is named.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from moorage.version import VERSION

if TYPE_CHECKING:
    from moorage.cannot_serve import CannotServe
    from moorage.config import load
    from moorage.daemon import Server, serve
    from protocol.settings import Settings

__all__ = ["CannotServe", "RoomClash", "Server", "Settings", "load", "serve"]

# The embedding API (docs/embedding.md): name -> the module that has it.
_LAZY = {
    "CannotServe": "moorage.cannot_serve",
    "Server": "moorage.daemon",
    "Settings": "protocol.settings",
    "load": "moorage.config",
    "serve": "moorage.daemon",
}

ROOMS = ("protocol", "fsm", "actors")
_HERE = Path(__file__).resolve().parent
HOME = _HERE / "_rooms" if (_HERE / "_rooms").is_dir() else _HERE.parent

__version__ = VERSION


class RoomClash(ImportError):
    """Somebody else's package has the name of one of our rooms; the message says whose, in one sentence."""


def __getattr__(name: str) -> Any:
    """A name of the embedding API, at its first use."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def _where(spec: ModuleSpec | None) -> str:
    """The folder or file that a name leads to, or why it leads nowhere."""
    if spec is None:
        return "nothing at all"
    folders = spec.submodule_search_locations
    return next(iter(folders), "an empty package") if folders is not None else spec.origin or "a built-in module"


def _clash() -> str:
    """Empty if every room's name leads to our home, else one sentence with both paths."""
    for room in ROOMS:
        ours = HOME / room
        found = _where(find_spec(room))
        if Path(found).resolve() != ours:
            return (
                f"MOORAGE_ROOM_CLASH: the name {room!r} leads to {found} here and not to Moorage's own {ours}; "
                "start Moorage where no other package has that name, or in an environment of its own"
            )
    return ""


def _sentence_only(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """`sys.excepthook` once there is a clash: the sentence says all, a traceback would bury it."""
    if isinstance(error, RoomClash):
        sys.stderr.write(f"moorage: {error}\n")
    else:
        sys.__excepthook__(kind, error, trace)


if str(HOME) not in sys.path:
    sys.path.append(str(HOME))
if _sentence := _clash():
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _sentence_only
    raise RoomClash(_sentence)
