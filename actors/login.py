"""What one login knows and no message may carry: the secrets offered, and what was granted for them.

The SSH side fills `Offer`, the auth actor asks about it, and what comes of it is a `Grant`.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from actors.ports import Mailbox
from protocol.auth import Reply
from protocol.rules import Chosen
from protocol.ways import Factor, Way
from protocol.webhook import BinaryValue, Value


class Rights(Struct, frozen=True, kw_only=True):
    """What a key's line or certificate allows. Without either, everything."""

    forced_command: str | None = None
    environment: Mapping[str, str] = {}
    pty: bool = True
    port_forwarding: bool = True
    agent_forwarding: bool = True
    x11_forwarding: bool = True
    permit_open: tuple[str, ...] = ()
    permit_listen: tuple[str, ...] = ()
    touch: bool = True  # of a hardware key


# What a key is allowed to, or the sentence for the operator why it is not let in.
Judgement = Rights | str


class KeyOffer(Struct, frozen=True):
    """A key that the client has shown. `line` is its authorized_keys form, empty for a certificate."""

    data: bytes
    fingerprint: str
    line: str
    by_users: Callable[[], Judgement]  # by the configuration: the user's own keys, and trusted authorities
    by_lines: Callable[[str], Judgement]  # by authorized_keys lines from elsewhere
    # Why nobody may be let in by it, whoever knows it; empty: nothing is against it. Waits for a disk. Raises OSError
    # and ValueError: it cannot be told.
    revoked: Callable[[], str] | None = None


class Offer(Struct):
    """The secrets of the attempt under way."""

    key: KeyOffer | None = None
    password: str = ""
    answer: str = ""


class Grant(Struct):
    """What the factors proved so far have brought. `username` is who it really is; `chosen` comes with the last one."""

    username: str = ""
    factors: Way = ()
    by: str = ""  # the key's fingerprint
    rights: Rights = Rights()
    metadata: dict[str, Value] = {}
    environment: dict[str, Value] = {}
    files: dict[str, BinaryValue] = {}
    chosen: Chosen | None = None


class Client(Struct, frozen=True, kw_only=True):
    """Who is at the other end, as web services are told."""

    connection: str
    remote: str
    version: str = ""

    @property
    def host(self) -> str:
        return self.remote.rpartition(":")[0].strip("[]")


class Question(Struct, frozen=True):
    """One turn of keyboard-interactive (RFC 4256). No prompt: the instruction is only to be read."""

    instruction: str = ""
    prompts: tuple[tuple[str, bool], ...] = ()  # (text, echo)


class LoginTransport(Protocol):
    """The SSH side of a login, as the auth actor sees it."""

    def replied(self, attempt: int, reply: Reply, why: str, factors: Way) -> None:
        """The attempt is over. `factors` are proved so far; `why` is for the operator."""

    def prompted(self, attempt: int, question: Question) -> None:
        """Ask the person; then `AuthPort.answered`."""


class AuthPort(Mailbox, Protocol):
    """An auth actor, as the SSH side sees it."""

    secrets: Offer
    grant: Grant

    def named(self, username: str, shown: str, template: str = "") -> None:
        """A user name was given; `shown` is fit for an event. `template`: was chosen with it."""

    def attempted(self, attempt: int, factor: Factor, by: str = "", probe: bool = False, flaw: str = "") -> None:
        """A try with what `secrets` holds now."""

    def answered(self, attempt: int) -> None:
        """The person has answered the prompt."""
