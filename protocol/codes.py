"""The registry of message codes: what may be said, how loud, to whom, and what it means.

`DOCKER_…` and `SSH_…` identifiers are ContainerSSH's, so that alerts written for it go on working; ours start with
`MOORAGE_`. A code is never renumbered, renamed or reused. Rows of the machines emit them (`says=`); the few that no
machine can know (start-up, listener, crash) are emitted by the composition and marked `outside=True`.
"""

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
