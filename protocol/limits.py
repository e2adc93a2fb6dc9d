"""What is counted against the `limits` section, and what is told of a limit that has been reached."""

from typing import Literal

from msgspec import Struct

Held = Literal["connections", "sessions", "containers"]  # what one has at the same time
Counted = Literal["connections", "sessions", "containers", "logins"]
Whose = Literal["user", "address"]
TimeLimit = Literal["idle", "total"]


class LimitReached(Struct, frozen=True, kw_only=True):
    """`may` is the limit. Of logins: so many in `period_s`, and the next is possible in `wait_s`."""

    what: Counted
    whose: Whose
    may: int
    period_s: float = 0.0
    wait_s: float = 0.0
