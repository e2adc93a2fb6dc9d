"""How a client without SSH logs in: the real `actors.ssh.login.Login`, asked as asyncssh asks it; keys are of paper."""

from collections.abc import Callable, Generator
from random import Random
from typing import Any, Literal

import trio
from msgspec import Struct

from actors import totp
from actors.login import Grant, Judgement, KeyOffer, Question, Rights
from actors.ports import Supervisor
from actors.ssh.login import Login, Method, let_in
from moorage.testing.fake_client import FakeClient
from moorage.testing.fake_web import RIGHT, FakeServices, Use, key_line
from moorage.testing.ways_drawn import TOTP
from moorage.testing.wrong import Stuck, expect
from protocol.auth import Reply
from protocol.rules import split_name
from protocol.settings import Settings
from protocol.settings_auth import Auth
from protocol.ways import METHOD_OF, Factor, next_factors, offered_first, ways_of

VERSION = "SSH-2.0-Simulated"
SIGNED = b"signed"
ANSWER_S_MAX = 400.0  # every budget of an attempt and of its last words, one after the other
WALL_S = 1_800_000_000.0  # what the simulated clock's zero is called
USES: tuple[Use, ...] = ("uses it", "uses it", "is somebody else", "refuses", "too old", "slow", "odd")
METHODS: dict[Factor, Method] = {
    "publickey": "publickey",
    "password": "password",
    "totp": "keyboard-interactive",
    "oidc": "keyboard-interactive",
}
# How long people take to answer a prompt, or to get to the provider's page.
PAUSES_S: tuple[float, ...] = (0.0, 0.0, 1.0, 3.0, 20.0)
Outcome = Literal["success", "partial", "failure", "gone"]


def wall() -> float:
    return WALL_S + trio.current_time()


class LetGo(Exception):
    """Whoever waited for an answer gets none: something else has begun, or the connection is gone."""


class Promise:
    """Implements `login.Waiting` for trio."""

    def __init__(self) -> None:
        self._answer: Reply | Question = "failure"
        self._is_let_go = False
        self._event = trio.Event()

    def set_result(self, answer: Reply | Question) -> None:
        self._answer = answer
        self._event.set()

    def done(self) -> bool:
        return self._event.is_set()

    def cancel(self) -> None:
        if not self._event.is_set():
            self._is_let_go = True
            self._event.set()

    def __await__(self) -> Generator[Any, Any, Reply | Question]:
        yield from self._event.wait().__await__()
        if self._is_let_go:
            raise LetGo
        return self._answer


class PaperKey:
    """Implements `ssh.login.PublicKey`: it has signed what says so."""

    def set_touch_required(self, touch_required: bool) -> None: ...

    def verify(self, data: bytes, sig: bytes) -> bool:
        return sig == SIGNED


class Shown(Struct, frozen=True):
    key: PaperKey
    offer: KeyOffer


class PaperKeys:
    """Implements `ssh.login.Keys`: a key is a word, and its line of authorized_keys has nothing but it."""

    def __init__(self, auth: Auth, rights: Rights) -> None:
        self.offered_first = offered_first(auth)
        self._auth, self._rights = auth, rights

    def shown(self, username: str, data: bytes, host: str) -> Shown | None:
        if not data:
            return None
        line = key_line(data.decode())
        user = self._auth.users.get(username)

        def by_lines(text: str) -> Judgement:
            return self._rights if line in text else "not one of this user's keys"

        def by_users() -> Judgement:
            return by_lines("\n".join(user.authorized_keys if user else ()))

        return Shown(PaperKey(), KeyOffer(data, f"SHA256:{data.decode()}", line, by_users, by_lines))


class FakeLogin:
    """One client's way in. It stands where asyncssh and `ssh.connection.Handler` do.

    `rights` are what keys allow; `proved` are the factors that this client has proved, each with the name it gave.
    """

    def __init__(self, client: FakeClient, supervisor: Supervisor, services: FakeServices, rights: Rights) -> None:
        assert client.mailbox is not None
        self._client, self._services, self._mailbox = client, services, client.mailbox
        settings, host = client.mailbox.settings, client.remote.rpartition(":")[0]
        self._login = Login(
            settings.auth,
            PaperKeys(settings.auth, rights),
            lambda transport: supervisor.login_begun(self._mailbox, transport, VERSION),
            host,
            client.abort,
            Promise,
        )
        client.on_hang_up = self._login.left
        self.settings: Settings = settings
        self.proved: set[tuple[str, Factor]] = set()
        self.on_reply: Callable[[str], None] = lambda reply: None
        self.pauses_s = PAUSES_S
        self._username = self._name = ""

    @property
    def grant(self) -> Grant:
        return self._login.grant

    def named(self, username: str) -> None:
        """A user name was given; `NAME+TEMPLATE` chooses one."""
        if username != self._username:
            self._username = username
            name, template = split_name(self.settings, username)
            self._name = name
            self._login.named(name, template)

    def offers(self, factor: Factor) -> bool:
        return self._login.offers(METHOD_OF[factor])

    @property
    def open_factors(self) -> list[Factor]:
        """What this user can go on with, best first."""
        passed = self._login.passed
        factors = next_factors(ways_of(self.settings.auth, self._name), passed)
        return [factor for factor in factors if self.offers(factor)]

    async def attempt(self, factor: Factor, right: bool, dice: Random) -> Outcome:
        """One try. A wrong one may be right by chance."""
        try:
            with trio.move_on_after(ANSWER_S_MAX) as patience:
                said = await self._try(factor, right, dice)
        except LetGo:
            return "gone"
        if patience.cancelled_caught:
            raise Stuck(f"{factor} of {self._username} is not answered")
        return self._heard(METHODS[factor], said)

    async def _try(self, factor: Factor, right: bool, dice: Random) -> bool:
        login = self._login
        if factor == "password":
            return await login.password(self._proved(factor, RIGHT) if right else "wrong")
        if factor == "publickey":
            own = self._name.encode()
            data = own if right or dice.random() < 0.4 else dice.choice((b"other", b"other", b""))
            if dice.random() < 0.5:
                if not await login.key_shown(data, b"", b""):
                    return False
                self.on_reply(login.reply)
            signature = SIGNED if right or dice.random() < 0.5 else b"forged"
            if self._client.lost.is_set():
                raise LetGo
            if data == own and signature == SIGNED:
                self._proved(factor, "")
            return await login.key_shown(data, b"session", signature)
        return await self._answer(factor, right, dice)

    def _proved(self, factor: Factor, secret: str) -> str:
        self.proved.add((self._name, factor))
        return secret

    async def _answer(self, factor: Factor, right: bool, dice: Random) -> bool:
        """Keyboard-interactive: prompts until there is a yes or a no."""
        challenge = await self._login.challenge()
        while not isinstance(challenge, bool):
            await trio.sleep(dice.choice(self.pauses_s))
            if self._client.lost.is_set():
                raise LetGo
            instruction, prompts = challenge[1], challenge[3]
            if prompts:
                step = int(wall()) // totp.STEP_S + dice.choice((-1, 0, 0, 1))
                code = totp.code(totp.read_secret(TOTP), step)
                challenge = await self._login.responded([self._proved("totp", code) if right else "no code"])
            else:
                self._use(instruction.partition("enter the code ")[2].split()[0], right, dice)
                challenge = await self._login.responded([])
        return challenge

    def _use(self, user_code: str, right: bool, dice: Random) -> None:
        """The person at the provider's page: at once, later or never."""
        use = "uses it" if right else dice.choice(USES)
        later = dice.choice(self.pauses_s) if right else dice.choice((0.0, 1.0, 4.0, 200.0))
        self.proved.add((f"not-{self._name}" if use == "is somebody else" else self._name, "oidc"))
        self._client.nursery.start_soon(self._use_later, later, user_code, use)

    async def _use_later(self, seconds: float, user_code: str, use: Use) -> None:
        await trio.sleep(seconds)
        self._services.person_uses(user_code, use, self._name)

    def _heard(self, method: Method, said: bool) -> Outcome:
        if self._client.lost.is_set():
            return "gone"
        reply = self._login.reply
        self.on_reply(reply)
        if said and reply == "success":
            self._check(self._login.grant)
            let_in(self._mailbox, self._login.grant, VERSION)
            return "success"
        if said and reply == "partial":
            return "partial"
        if not said and (event := self._login.refused(method, self._username)):
            self._mailbox.post(event)
        return "failure"

    def _check(self, grant: Grant) -> None:
        """Nobody is let in who has not proved it, nobody whom the operator does not want, and not by others' rules."""
        who, operator = f"{self._username} as {grant.username}", self._services.operator
        for factor in grant.factors:
            is_proved = self.proved & {(self._name, factor), (grant.username, factor)}
            expect(bool(is_proved), f"{who} is let in and has not proved {factor}")
        is_known = self._name not in operator.strangers or set(grant.factors) == {"oidc"}
        expect(is_known, f"{who} is let in, and nobody knows of that name")
        is_wanted = not self.settings.auth.authz.method or self._name not in operator.unauthorized
        expect(is_wanted, f"{who} is let in without authorization")
        assert grant.chosen is not None
        for rule in self.settings.rules:
            if not rule.groups:  # of the addresses and users that rules are drawn for, clients have all or none
                holds = grant.username in rule.users
                expect((rule.name in grant.chosen.rules) == holds, f"{who} meets {grant.chosen.rules}, not {rule}")
