"""An SSH connection: asyncssh's callbacks become events for its actor, the actor's wishes become calls."""

from typing import cast

import asyncssh

from actors.ports import Mailbox, Supervisor
from actors.ssh.auth import Authenticator, fingerprint
from actors.ssh.overrides import Connection, Wire
from actors.ssh.session import Session
from actors.ssh.text import escaped
from fsm import policy
from fsm.policy import ChannelRefusal
from protocol.connection import Authenticated, AuthFailed, Disconnected, RequestRefused

NAME_CHARS_MAX = 256
FAILURES_TOLD_MAX = 20  # AuthFailed events of one connection


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

    def __init__(self, supervisor: Supervisor, authenticator: Authenticator) -> None:
        self.mailbox: Mailbox | None = None
        self._supervisor = supervisor
        self._authenticator = authenticator
        self._conn: Connection | None = None
        self._username = ""
        self._key = ""  # the fingerprint of the key judged last
        self._why = ""  # and what was wrong with it
        self._greeted = False
        self._failures = 0

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
            self.mailbox.post(Disconnected(why=_reason(exc)))
        except Exception as error:
            self.crashed(error)

    def begin_auth(self, username: str) -> bool:
        assert self._conn is not None
        self._username = username
        self._conn.set_authorized_keys(self._authenticator.keys_of(username))
        if self._supervisor.settings.ssh.banner and not self._greeted:
            self._greeted = True
            self._conn.send_auth_banner(self._supervisor.settings.ssh.banner.rstrip("\n") + "\n")
        return True

    def public_key_auth_supported(self) -> bool:
        return self._authenticator.offers_keys

    def password_auth_supported(self) -> bool:
        return self._authenticator.offers_passwords

    async def validate_password(self, username: str, password: str) -> bool:
        return await self._authenticator.password_fits(username, password)

    def key_judged(self, key_data: bytes, accepted: bool, signed: bool) -> None:
        self._key = fingerprint(key_data)
        if accepted:
            self._why = ""
        elif signed:
            self._why = f"key {self._key}: not this user's, or its signature is wrong"
        else:
            self._why = f"key {self._key or '(unreadable)'} is not one of this user's"

    def auth_refused(self, method: bytes) -> None:
        """One event per password and per key turned down. The why is for the operator; the client hears none of it."""
        self._failures += 1
        if self._failures > FAILURES_TOLD_MAX or method not in (b"password", b"publickey"):
            return
        why = self._why if method == b"publickey" else "the password does not fit"
        if self._username not in self._authenticator.users:
            why = "there is no such user"
        username = escaped(self._username.encode(), NAME_CHARS_MAX)
        if method == b"password":
            self._post(AuthFailed(username=username, method="password", why=why))
        else:
            self._post(AuthFailed(username=username, method="publickey", why=why))

    def auth_completed(self) -> None:
        assert self._conn is not None
        method = self._conn.auth_method.decode("ascii")
        client = self._conn.get_extra_info("client_version", "")
        self._post(
            Authenticated(
                username=self._username,
                method=method,
                by=self._key if method == "publickey" else "",
                client=escaped(client.encode(), NAME_CHARS_MAX),
            )
        )

    def session_refusal(self, open_sessions: int) -> ChannelRefusal:
        assert self.mailbox is not None
        refusal = policy.session_refusal(self._supervisor.settings.security, open_sessions)
        return refusal if refusal.why else ChannelRefusal(self._supervisor.may_open(self.mailbox))

    def forwarding_refusal(self, what: bytes) -> ChannelRefusal:
        return policy.forwarding_refusal(self._supervisor.settings.security, what)

    def open_session(self, wire: Wire) -> Session:
        assert self.mailbox is not None
        session = Session(wire, self._supervisor.settings)
        session.port = self._supervisor.session_opened(self.mailbox, session)
        return session

    def request_refused(self, what: bytes, refusal: ChannelRefusal) -> None:
        assert self.mailbox is not None
        shown = escaped(what, NAME_CHARS_MAX)
        self.mailbox.offer(RequestRefused(what=shown, why=refusal.why, refused_by=refusal.by))

    def crashed(self, error: BaseException) -> None:
        self._supervisor.crashed(self.mailbox, crash_text(error))

    def _post(self, event: AuthFailed | Authenticated) -> None:
        assert self.mailbox is not None
        self.mailbox.post(event)


def _reason(error: Exception | None) -> str:
    return "" if error is None else escaped(str(error).encode("utf-8", "replace"), NAME_CHARS_MAX)
