"""An SSH connection: asyncssh's callbacks become events for its actor, the actor's wishes become calls."""

import asyncio
from collections.abc import Sequence
from typing import cast

import asyncssh

from actors.login import Grant
from actors.ports import ConnectionPort, Supervisor
from actors.ssh.auth import Keyring
from actors.ssh.login import Challenge, Login, Method, Waiting, let_in
from actors.ssh.overrides import Connection, Wire
from actors.ssh.peer import cause_of
from actors.ssh.requests import Requests
from actors.ssh.session import Session
from actors.ssh.text import escaped
from fsm import policy
from fsm.policy import ChannelRefusal
from protocol.connection import Disconnected, RequestRefused
from protocol.rules import split_name
from protocol.settings import Settings

NAME_CHARS_MAX = 256
METHODS: dict[bytes, Method] = {
    b"password": "password",
    b"publickey": "publickey",
    b"keyboard-interactive": "keyboard-interactive",
}


def crash_text(error: BaseException) -> str:
    """One line for `ShimFailed`: what, and the innermost place."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" at {place.tb_frame.f_code.co_qualname}:{place.tb_lineno}"
    return f"{type(error).__name__}: {error}{where}"


def address(peername: object) -> str:
    """`IP:PORT`, with brackets around IPv6."""
    if not isinstance(peername, tuple) or len(peername) < 2:
        return "unknown"
    host, port = peername[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Handler(asyncssh.SSHServer):
    """Implements `ports.Transport`; asyncssh calls it an owner."""

    def __init__(self, supervisor: Supervisor, keyring: Keyring) -> None:
        self.mailbox: ConnectionPort | None = None
        self._supervisor = supervisor
        self._keyring = keyring
        self._login: Login | None = None
        self._conn: Connection | None = None
        self._username = ""
        self._greeted = False

    # ports.Transport: what the actor asks for.

    def close(self, why: str) -> None:
        if self._conn is not None:
            self._conn.farewell(why)

    def abort(self) -> None:
        if self._conn is not None:
            self._conn.abort()

    # What happens (called by asyncssh and overrides.py).

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = cast(Connection, conn)
        self.mailbox = self._supervisor.connection_made(self, address(conn.get_extra_info("peername")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._conn = None
        if self.mailbox is None:
            return
        try:
            if self._login is not None:
                self._login.left()
            self.mailbox.post(Disconnected(why=_reason(exc), cause=cause_of(exc)))
        except Exception as error:
            self.crashed(error)

    def begin_auth(self, username: str) -> bool:
        assert self._conn is not None
        self._username = username
        self.login.named(*split_name(self.settings, username))
        if self.settings.ssh.banner and not self._greeted:
            self._greeted = True
            self._conn.send_auth_banner(self.settings.ssh.banner.rstrip("\n") + "\n")
        return True

    @property
    def settings(self) -> Settings:
        """Those of this connection."""
        assert self.mailbox is not None
        return self.mailbox.settings

    @property
    def login(self) -> Login:
        """Made with the first user name; a port scanner costs no second actor."""
        if self._login is None:
            assert self._conn is not None and self.mailbox is not None
            supervisor, mailbox = self._supervisor, self.mailbox
            version = escaped(self._conn.get_extra_info("client_version", "").encode(), NAME_CHARS_MAX)
            host = (self._conn.get_extra_info("peername") or ("",))[0]
            self._login = Login(
                mailbox.settings.auth,
                self._keyring,
                lambda transport: supervisor.login_begun(mailbox, transport, version),
                host,
                self.abort,
                _wait,
            )
        return self._login

    def public_key_auth_supported(self) -> bool:
        return self.login.offers("publickey")

    def password_auth_supported(self) -> bool:
        return self.login.offers("password")

    def kbdint_auth_supported(self) -> bool:
        return self.login.offers("keyboard-interactive")

    async def validate_password(self, username: str, password: str) -> bool:
        return await self.login.password(password)

    async def key_shown(self, key_data: bytes, signed: bytes, signature: bytes) -> bool:
        return await self.login.key_shown(key_data, signed, signature)

    async def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Challenge:
        return await self.login.challenge()

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> Challenge:
        return await self.login.responded(responses)

    @property
    def is_partly_in(self) -> bool:
        return self.login.reply == "partial"

    @property
    def grant(self) -> Grant:
        return Grant() if self._login is None else self._login.grant

    def auth_refused(self, method: bytes) -> None:
        """One event per password, key and answer turned down."""
        assert self.mailbox is not None
        known = METHODS.get(method)
        if known is not None and (event := self.login.refused(known, self._username)):
            self.mailbox.post(event)

    def auth_completed(self) -> None:
        assert self._conn is not None and self.mailbox is not None
        client = self._conn.get_extra_info("client_version", "")
        let_in(self.mailbox, self.grant, escaped(client.encode(), NAME_CHARS_MAX))

    def session_refusal(self, open_sessions: int) -> ChannelRefusal:
        assert self.mailbox is not None
        refusal = policy.session_refusal(self.settings.security, open_sessions)
        return refusal if refusal.why else self._supervisor.may_open(self.mailbox)

    def forwarding_refusal(self, what: bytes) -> ChannelRefusal:
        return policy.forwarding_refusal(self.settings.security, what)

    def open_session(self, wire: Wire) -> Session:
        assert self.mailbox is not None
        session = Session(wire)
        session.port = self._supervisor.session_opened(self.mailbox, session)
        session.requests = Requests(session.port, self.settings, self.grant)
        return session

    def request_refused(self, what: bytes, refusal: ChannelRefusal) -> None:
        assert self.mailbox is not None
        shown = escaped(what, NAME_CHARS_MAX)
        self.mailbox.offer(RequestRefused(what=shown, why=refusal.why, refused_by=refusal.by))

    def crashed(self, error: BaseException) -> None:
        self._supervisor.crashed(self.mailbox, crash_text(error))


def _wait() -> Waiting:
    return asyncio.get_running_loop().create_future()


def _reason(error: Exception | None) -> str:
    return "" if error is None else escaped(str(error).encode("utf-8", "replace"), NAME_CHARS_MAX)
