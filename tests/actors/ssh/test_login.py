"""One login on its SSH side, where two things meet that no client can be made to time: asked as asyncssh asks it."""

import asyncio
from typing import Any

from actors.login import Grant, LoginTransport, Offer, Question
from actors.ssh.auth import Keyring
from actors.ssh.login import Login
from protocol.auth import AttemptDropped
from protocol.base import Event
from protocol.settings_auth import Auth, User

AUTH = Auth(users={"ann": User(password_hash="x", methods=("password", "oidc"))})


class Port:
    """An auth actor's place. It does nothing by itself."""

    id = "au"

    def __init__(self) -> None:
        self.secrets, self.grant = Offer(), Grant()
        self.names: list[str] = []
        self.attempts = 0
        self.events: list[Event] = []

    def named(self, username: str, shown: str, template: str = "") -> None:
        self.names.append(username)

    def attempted(self, attempt: int, *what: Any) -> None:
        self.attempts = attempt

    def answered(self, attempt: int) -> None: ...

    def post(self, event: Event) -> None:
        self.events.append(event)

    def offer(self, event: Event) -> bool:
        return True


class Asked:
    """A login and whom it has begun. Every question below has a second to be answered."""

    def __init__(self) -> None:
        self.ports: list[Port] = []
        self.aborted = 0
        future = asyncio.get_running_loop().create_future
        self.login = Login(AUTH, Keyring(AUTH), self._begin, "192.0.2.1", self._abort, future)
        self.login.named("ann")

    def _begin(self, transport: LoginTransport) -> Port:
        self.ports.append(Port())
        return self.ports[-1]

    def _abort(self) -> None:
        self.aborted += 1


async def ask(question: Any) -> Any:
    return await asyncio.wait_for(question, 1.0)


async def started(question: Any) -> "asyncio.Task[Any]":
    task = asyncio.create_task(ask(question))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def test_who_drops_the_attempt_that_has_let_it_in_is_cut_off() -> None:
    """The success was on its way to asyncssh when another attempt came and took its place."""

    async def run() -> Asked:
        asked = Asked()
        first = await started(asked.login.password("right"))
        asked.login.replied(1, "success", "", ("password",))
        first.cancel()
        assert not await ask(asked.login.password("again"))
        asked.login.named("bob")
        assert not await ask(asked.login.challenge())
        return asked

    asked = asyncio.run(run())
    assert asked.aborted
    assert len(asked.ports) == 1 and asked.ports[0].names == ["ann"]


def test_a_prompt_that_was_given_up_is_answered_with_no() -> None:
    """The page's code was too old when the person came back and pressed Enter."""

    async def run() -> Any:
        asked = Asked()
        shown = await started(asked.login.challenge())
        asked.login.prompted(1, Question(instruction="open the page"))
        assert (await shown)[1] == "open the page"
        asked.login.replied(1, "failure", "nobody has used the code in time", ())
        assert await ask(asked.login.responded([])) is False
        return asked

    asked = asyncio.run(run())
    assert asked.login.why == "nobody has used the code in time"
    assert not [event for event in asked.ports[0].events if isinstance(event, AttemptDropped)]
