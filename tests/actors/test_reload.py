"""A reload that cannot be: no file, one that hangs, one that cannot be made ready; and the counts of failures stay."""

import time
from collections.abc import Callable

import pytest
import trio

from actors import reload
from actors.limit import FailureCount
from actors.login import Client
from actors.ports import OutsideFault
from actors.reload import Reloads
from actors.sources import Outside, Sources
from actors.totp import code, read_secret
from protocol.server import AnswerReload
from protocol.settings import Settings
from protocol.settings_auth import Auth, FailureLimit, User
from protocol.settings_problem import Problem, SettingsError

pytestmark = pytest.mark.trio
SECRET = "JBSWY3DPEHPK3PXP"


async def _fine(settings: Settings) -> Callable[[], None]:
    return lambda: None


async def _why(reloads: Reloads) -> tuple[str, str]:
    with pytest.raises(OutsideFault) as caught:
        await reloads.read(1)
    return caught.value.fault, caught.value.why


async def test_settings_of_a_program_have_no_file() -> None:
    assert await _why(Reloads(Settings(), None, _fine)) == ("invalid", reload.NO_FILE)


async def test_everything_that_is_wrong_is_told() -> None:
    def reread() -> Settings:
        raise SettingsError([Problem("a", "b"), Problem("c", "d", line=3)])

    assert await _why(Reloads(Settings(), reread, _fine)) == ("invalid", "a: b; c: d (line 3)")


async def test_a_file_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "READ_S", 0.05)

    def reread() -> Settings:
        time.sleep(0.5)
        return Settings()

    assert await _why(Reloads(Settings(), reread, _fine)) == ("timeout", "it could not be read within 0.05 s")


async def test_what_cannot_be_made_ready_changes_nothing() -> None:
    async def prepare(settings: Settings) -> Callable[[], None]:
        raise OutsideFault("invalid", "no agent")

    reloads = Reloads(Settings(state="a"), lambda: Settings(), prepare)
    assert await _why(reloads) == ("invalid", "no agent")
    assert reloads.current.state == "a"


async def test_who_asks_a_server_that_ends_is_answered() -> None:
    reloads = Reloads(Settings(), Settings, _fine)
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            answer = await reloads.reload("test")
            assert (answer.serving, answer.error) == (False, "the server has stopped")

        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        reloads.end()
    assert not (await reloads.reload("test")).serving
    reloads.answer(AnswerReload(attempt=7), serving=True)  # nobody waits for this one: a signal has asked


async def test_a_reload_pardons_nobody() -> None:
    auth = Auth(users={"ann": User(totp=SECRET, password_hash="x")}, failures=FailureLimit(max=2, period=60.0))
    client = Client(connection="c", remote="192.0.2.1:4")
    now = time.time()
    old = Sources(auth, outside=Outside(wall=lambda: now))
    for _ in range(2):
        old.note_failure("password", client, "ann")
    digits = code(read_secret(SECRET), int(now) // 30)
    assert old.code("ann", digits).verdict == "yes"
    new = Sources(auth, outside=Outside(wall=lambda: now))
    assert not new.is_limited("password", client, "ann")
    new.go_on(old)
    assert new.is_limited("password", client, "ann")
    assert new.code("ann", digits).verdict == "no"


async def test_a_lower_limit_holds_for_what_was_counted_before() -> None:
    clock = 10.0
    before, after = (FailureCount(limit, 60.0, lambda: clock) for limit in (5, 2))
    for _ in range(3):
        before.failed("a")
    after.go_on(before)
    assert after.is_full("a") and not before.is_full("a")
