"""One login on its SSH side: asyncssh asks, the auth actor is told, and whoever asked waits for its reply.

No library is named here: who asks brings the keys, and what it waits on.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, Protocol

from msgspec.structs import replace

from actors.login import AuthPort, Grant, KeyOffer, LoginTransport, Question
from actors.ports import ConnectionPort
from actors.ssh.text import escaped
from protocol.auth import AttemptDropped, ClientLeft, Reply
from protocol.connection import Authenticated, AuthFailed
from protocol.settings_auth import Auth
from protocol.ways import METHOD_OF, Factor, Way, next_factors, usual_factors, ways_of

NAME_CHARS_MAX = 256
FAILURES_TOLD_MAX = 20  # AuthFailed events of one connection
Method = Literal["password", "publickey", "keyboard-interactive"]
Challenge = bool | tuple[str, str, str, tuple[tuple[str, bool], ...]]
Begin = Callable[[LoginTransport], AuthPort]


class Waiting(Awaitable[Reply | Question], Protocol):
    """An `asyncio.Future`, as far as a login needs one."""

    def set_result(self, answer: Reply | Question) -> None: ...
    def done(self) -> bool: ...
    def cancel(self) -> object:
        """Whoever waits is let go with an exception."""


class PublicKey(Protocol):
    def set_touch_required(self, touch_required: bool) -> None: ...
    def verify(self, data: bytes, sig: bytes) -> bool: ...


class ShownKey(Protocol):
    """A key as a client has shown it: what its signature is held against, and what is asked about it."""

    @property
    def key(self) -> PublicKey: ...
    @property
    def offer(self) -> KeyOffer: ...


class Keys(Protocol):
    """The configured keys. `offered_first` are the methods that every name is offered first."""

    offered_first: tuple[str, ...]

    def shown(self, username: str, data: bytes, host: str) -> ShownKey | None:
        """None: it is no key, or says something critical that is not understood."""


class Login:
    """Implements `login.LoginTransport`. At most one attempt is under way; a client that drops it begins anew.

    `wait` makes what the one who asks waits on.
    """

    def __init__(
        self, auth: Auth, keyring: Keys, begin: Begin, host: str, abort: Callable[[], None], wait: Callable[[], Waiting]
    ) -> None:
        self._auth, self._keyring, self._begin, self._host, self._abort = auth, keyring, begin, host, abort
        self._new_wait = wait
        self._first = keyring.offered_first
        self._port: AuthPort | None = None
        self._username = ""
        self._ways: tuple[Way, ...] = ()
        self._passed: Way = ()
        self._attempt = 0
        self._is_open = False  # the attempt has no reply yet
        self._granted = Grant()
        self._waiting: Waiting | None = None
        self._failures = 0
        self.reply: Reply = "failure"  # the last one
        self.why = ""  # it was refused
        self.key = ""  # the fingerprint of the key shown last

    @property
    def passed(self) -> Way:
        """The factors proved so far."""
        return self._passed

    @property
    def grant(self) -> Grant:
        """What the client has been given. Empty before the login is through."""
        return self._granted

    def refused(self, method: Method, username: str) -> AuthFailed | None:
        """What to tell of a password, key or answer that was turned down; None: more has been told than is read.

        `username` is the whole name that was given. The why is for the operator; the client hears none.
        """
        self._failures += 1
        if self._failures > FAILURES_TOLD_MAX:
            return None
        why = "there is no such user" if self._is_stranger() else self.why
        return AuthFailed(username=escaped(username.encode(), NAME_CHARS_MAX), method=method, why=why)

    def _is_stranger(self) -> bool:
        """The name is not in the configuration, and nobody else could know it."""
        return self._username not in self._auth.users and not usual_factors(replace(self._auth, users={}))

    def named(self, username: str, template: str = "") -> None:
        """A user name that was not the last one, or another template."""
        if self._has_let_in():
            return
        self._drop()
        if self._port is None:
            self._port = self._begin(self)
        self._username, self._passed = username, ()
        self._ways = ways_of(self._auth, username)
        self._port.named(username, escaped(username.encode(), NAME_CHARS_MAX), template)

    def offers(self, method: str) -> bool:
        """May this method come next? Of the first one nobody's name decides."""
        if not self._passed:
            return method in self._first
        return method in {METHOD_OF[factor] for factor in next_factors(self._ways, self._passed)}

    async def password(self, password: str) -> bool:
        if self._has_let_in():
            return False
        port = self._fresh()
        port.secrets.password = password
        return self._is_yes(await self._attempted("password"))

    async def key_shown(self, data: bytes, signed: bytes, signature: bytes) -> bool:
        """`signed` is what the signature is of; empty: the client only asks whether the key would do."""
        if self._has_let_in():
            return False
        port = self._fresh()
        shown = self._keyring.shown(self._username, data, self._host)
        if shown is None:
            self.key, self.why, self.reply = "", "key (unreadable) is not one that can be used", "failure"
            return False
        self.key = shown.offer.fingerprint
        port.secrets.key = shown.offer
        flaw = ""
        if signed:
            judgement = shown.offer.by_users()
            shown.key.set_touch_required(isinstance(judgement, str) or judgement.touch)
            flaw = "" if shown.key.verify(signed, signature) else "its signature is wrong"
        answer = await self._attempted("publickey", by=self.key, probe=not signed, flaw=flaw)
        if self.reply == "failure":
            self.why = f"key {self.key}: {self.why}"
        return self._is_yes(answer)

    async def challenge(self) -> Challenge:
        """Keyboard-interactive begins: for a code, or for the provider's page."""
        if self._has_let_in():
            return False
        self._fresh()
        open_ = next_factors(self._ways, self._passed) if self._passed else ("oidc",)
        factor = next((factor for factor in open_ if METHOD_OF[factor] == "keyboard-interactive"), None)
        return False if factor is None else self._challenge(await self._attempted(factor))

    async def responded(self, responses: Sequence[str]) -> Challenge:
        if not self._is_open or self._port is None:
            return False  # the attempt was given up while the person was asked
        self._port.secrets.answer = responses[0] if responses else ""
        waiting = self._wait()
        self._port.answered(self._attempt)
        return self._challenge(await waiting)

    def left(self) -> None:
        """The connection is gone."""
        self._cancel()
        if self._port is not None:
            self._port.post(ClientLeft())

    # login.LoginTransport

    def replied(self, attempt: int, reply: Reply, why: str, factors: Way) -> None:
        if attempt == self._attempt and self._is_open:
            self._is_open = False
            self.reply, self.why, self._passed = reply, why, factors
            self._answer(reply)
            if reply == "success" and self._port is not None:
                self._granted, self._port = self._port.grant, None  # the actor is at its end
        elif reply == "success":
            self._abort()  # see `_has_let_in`

    def prompted(self, attempt: int, question: Question) -> None:
        if attempt == self._attempt and self._is_open:
            self._answer(question)

    # Within

    def _has_let_in(self) -> bool:
        """The client begins anew and has dropped what would have let it in: there is no way back, so it is cut off."""
        if self.reply == "success":
            self._abort()
        return self.reply == "success"

    def _fresh(self) -> AuthPort:
        self._drop()
        if self._port is None:
            self.named("")  # asyncssh says nothing of a first name that is empty
        assert self._port is not None
        return self._port

    async def _attempted(self, factor: Factor, by: str = "", probe: bool = False, flaw: str = "") -> Reply | Question:
        assert self._port is not None
        self._attempt, self._is_open = self._attempt + 1, True
        waiting = self._wait()
        self._port.attempted(self._attempt, factor, by, probe, flaw)
        return await waiting

    def _wait(self) -> Waiting:
        self._waiting = self._new_wait()
        return self._waiting

    def _answer(self, answer: Reply | Question) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _drop(self) -> None:
        """asyncssh has cancelled who waits, or is about to; between two prompts nobody does."""
        self._cancel()
        if self._is_open and self._port is not None:
            self._is_open, self._passed = False, ()
            self._port.post(AttemptDropped(attempt=self._attempt))

    def _cancel(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.cancel()

    def _is_yes(self, answer: Reply | Question) -> bool:
        return answer in ("success", "partial", "acceptable")

    def _challenge(self, answer: Reply | Question) -> Challenge:
        if isinstance(answer, Question):
            return ("", answer.instruction, "", answer.prompts)
        return self._is_yes(answer)


def let_in(connection: ConnectionPort, grant: Grant, client: str) -> None:
    """The login is through: the connection has its settings and files, and hears of it. `client` is its version."""
    chosen = grant.chosen
    assert chosen is not None
    connection.settings = chosen.settings
    connection.files = {path: file.value for path, file in grant.files.items()}
    execution = chosen.settings.docker.execution
    connection.post(
        Authenticated(
            username=grant.username,
            method=",".join(grant.factors),
            by=grant.by,
            client=client,
            rules=chosen.rules,
            template=chosen.template,
            mode=execution.mode,
            image=execution.container["Image"],
            unsettled=chosen.unsettled,
            why=chosen.why,
        )
    )
