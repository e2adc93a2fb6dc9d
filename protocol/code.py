"""What a message code is; the registry of them is `codes.py`."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

Level = Literal["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]


class Code(Struct, frozen=True):
    """One message code.

    `text` is the log line's message, `explains` the reference text of `moorage codes`, `user` the sentence a person
    at the terminal reads (`{why}` and other fields of the event are filled in; empty: nobody is told).
    """

    name: str
    level: Level
    text: str
    explains: str
    user: str = ""
    outside: bool = False

    def quiet(self) -> "Code":
        """The same code at debug level: one failed try of several, not yet the outcome."""
        return replace(self, level="debug")
