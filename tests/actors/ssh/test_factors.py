"""Several factors in sequence, codes, webhooks and the identity provider, as OpenSSH's client meets them."""

import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
from msgspec.structs import replace

from actors.totp import code
from protocol.connection import AuthFailed
from protocol.settings import Docker, Execution
from protocol.settings_auth import AskWebhook, Auth, FailureLimit, User, Webhook
from tests.actors.ssh.host import PASSWORD, USER_KEY, aio, open_host, settings
from tests.actors.ssh.ways import HASH, TOTP, Ways, askpass, new_key, open_ways
from tests.webservice import Answer, Heard, Tree, WebService, open_service, status, yes

pytestmark = [
    pytest.mark.trio,
    pytest.mark.openssh,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed"),
]
NO_KEY = ("-o", "PubkeyAuthentication=no")
DENIED = b"Permission denied (%s)."


def code_now(steps: int = 0) -> str:
    return code(b"12345678901234567890", int(time.time()) // 30 + steps)


# --- sequences ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def with_alice(home: Path, *methods: str, **user: Any) -> AsyncIterator[Ways]:
    line = await new_key(home)
    alice = User(authorized_keys=(f"{user.pop('options', '')} {line}",), password_hash=HASH, methods=methods, **user)
    async with open_ways(home, Auth(users={"alice": alice})) as ways:
        yield ways


async def test_a_key_and_then_a_code(tmp_path: Path) -> None:
    async with with_alice(tmp_path, totp=TOTP) as ways:
        outcome = await ways.log_in(env=askpass(tmp_path, code=code_now()))
        assert outcome.login.method == "publickey,totp"
        assert outcome.login.by.startswith("SHA256:")
        assert _read(tmp_path / "asked").endswith("One-time code: \n")


async def test_a_password_and_then_a_code(tmp_path: Path) -> None:
    async with with_alice(tmp_path, totp=TOTP) as ways:
        outcome = await ways.log_in(*NO_KEY, env=askpass(tmp_path, code=code_now()))
        assert outcome.login.method == "password,totp"


async def test_no_secret_is_written_down(tmp_path: Path) -> None:
    async with with_alice(tmp_path, "password,totp", totp=TOTP) as ways:
        number = code_now()
        assert (await ways.log_in(*NO_KEY, env=askpass(tmp_path, code=number))).is_in
        login = ways.host.supervisor.logins[0]
        text = f"{login.ledger.tail()} {ways.host.supervisor.said} {login.cell}"
        assert "attempt_made" in text and PASSWORD not in text and number not in text and TOTP not in text


async def test_without_the_code_nobody_is_let_in(tmp_path: Path) -> None:
    async with with_alice(tmp_path, totp=TOTP) as ways:
        outcome = await ways.log_in()
        assert not outcome.is_in
        assert DENIED % b"keyboard-interactive" in outcome.stderr  # after the key: partial success
        outcome = await ways.log_in(env=askpass(tmp_path, code="000000"))
        assert not outcome.is_in and "the code does not fit" in outcome.whys


async def test_a_code_is_good_for_one_login(tmp_path: Path) -> None:
    async with with_alice(tmp_path, totp=TOTP) as ways:
        env = askpass(tmp_path, code=code_now())
        assert (await ways.log_in(env=env)).is_in
        assert not (await ways.log_in(env=env)).is_in


async def test_what_the_key_insists_on_holds_after_the_code(tmp_path: Path) -> None:
    async with with_alice(tmp_path, totp=TOTP, options='no-pty,command="forced"') as ways:
        outcome = await ways.log_in(env=askpass(tmp_path, code=code_now()))
        assert outcome.stdout == b"forced"
        assert ways.host.supervisor.logins[-1].grant.rights.pty is False


async def test_the_order_counts(tmp_path: Path) -> None:
    async with with_alice(tmp_path, "password,publickey") as ways:
        assert (await ways.log_in(env=askpass(tmp_path))).login.method == "password,publickey"
        assert not (await ways.log_in()).is_in


async def test_three_in_a_row(tmp_path: Path) -> None:
    async with with_alice(tmp_path, "publickey,password,keyboard-interactive:totp", totp=TOTP) as ways:
        outcome = await ways.log_in(env=askpass(tmp_path, code=code_now()))
        assert outcome.login.method == "publickey,password,totp"
        outcome = await ways.log_in(*NO_KEY, env=askpass(tmp_path, code=code_now()))
        assert not outcome.is_in


async def test_a_single_factor_that_is_not_among_the_methods(tmp_path: Path) -> None:
    async with with_alice(tmp_path, "publickey") as ways:
        assert (await ways.log_in()).is_in
        outcome = await ways.log_in(*NO_KEY, env=askpass(tmp_path))
        assert not outcome.is_in


async def test_another_name_begins_anew() -> None:
    """What was proved as alice is worth nothing to bob (RFC 4252 section 5)."""
    alice = User(authorized_keys=(USER_KEY.export_public_key().decode(),), password_hash=HASH, totp=TOTP)
    config = replace(settings(), auth=Auth(users={"alice": alice, "bob": replace(alice, authorized_keys=())}))
    async with open_host(config) as host:
        with pytest.raises(asyncssh.PermissionDenied):
            async with host.client(client_keys=[USER_KEY]):
                pass
        login = host.supervisor.logins[0]
        login.named("bob", "bob")
        assert login.cell.passed == ("publickey",)
        await trio.testing.wait_all_tasks_blocked()
        assert login.ended or login.cell.passed == ()


async def test_every_name_is_offered_the_same_first() -> None:
    config = settings()
    users = {**config.auth.users, "keys": User(authorized_keys=("x",), methods=("publickey",))}
    async with open_host(replace(config, auth=Auth(users=users))) as host:
        for username in ("alice", "keys", "nobody", ""):
            ask = partial(asyncssh.get_server_auth_methods, "127.0.0.1", host.port, username=username, config=None)
            assert list(await aio(ask)) == ["publickey", "password"]


async def test_a_client_that_drops_its_attempt_may_try_again() -> None:
    async def check(hash_: str, password: str) -> bool:
        if password == "slow":
            await trio.sleep_forever()
        return password == PASSWORD

    class Impatient(asyncssh.SSHClient):
        asked = 0

        def password_auth_requested(self) -> str:
            self.asked += 1
            if self.asked == 1:
                self.conn._loop.call_later(0.05, lambda: self.conn.try_next_auth(next_method=False))
                return "slow"
            return PASSWORD

        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            self.conn: Any = conn

    async with open_host(check=check) as host, host.client(client_keys=None, client_factory=Impatient):
        assert host.supervisor.logins[0].ended
        steps = [line for line in host.supervisor.logins[0].ledger.tail() if "attempt_dropped" in line]
        assert len(steps) == 1


# --- the limit ---------------------------------------------------------------------------------------------------


async def test_an_address_that_fails_too_often_is_not_looked_at(tmp_path: Path) -> None:
    checks: list[str] = []

    async def check(hash_: str, password: str) -> bool:
        checks.append(password)
        return password == PASSWORD

    config = settings(max_auth_tries=20)
    config = replace(config, auth=replace(config.auth, failures=FailureLimit(max=3, period=3600.0)))
    async with open_host(config, check=check) as host:
        for number in range(5):
            with pytest.raises(asyncssh.PermissionDenied):
                async with host.client(client_keys=None, password=f"wrong{number}"):
                    pass
        with pytest.raises(asyncssh.PermissionDenied):
            async with host.client(client_keys=None, password=PASSWORD):
                pass
        assert checks == ["wrong0", "wrong1", "wrong2"]
        assert [event.why for event in host.supervisor.connections[4].all(AuthFailed)] == [
            "too many have failed from this address"
        ]
        assert ("MOORAGE_AUTH_LIMITED" in {code for code, _ in host.supervisor.said}) is True


async def test_keys_that_are_only_offered_do_not_count() -> None:
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(5)]
    config = settings(max_auth_tries=20)
    config = replace(config, auth=replace(config.auth, failures=FailureLimit(max=2, period=3600.0)))
    async with open_host(config) as host, host.client(client_keys=[*keys, USER_KEY]):
        assert len(host.supervisor.connections[0].all(AuthFailed)) == 5


async def test_guesses_at_a_code_count_for_the_name_wherever_they_come_from(tmp_path: Path) -> None:
    line = await new_key(tmp_path)
    auth = Auth(users={"alice": User(authorized_keys=(line,), totp=TOTP)}, failures=FailureLimit(max=2, period=3600.0))
    async with open_ways(tmp_path, auth) as ways:
        for _ in range(2):
            assert not (await ways.log_in("-o", "NumberOfPasswordPrompts=1", env=askpass(tmp_path, code="0"))).is_in
        ways.host.supervisor.sources._failures._failures.pop("127.0.0.1")  # as if from another address
        outcome = await ways.log_in("-o", "NumberOfPasswordPrompts=1", env=askpass(tmp_path, code=code_now()))
        assert not outcome.is_in and outcome.whys[-1] == "too many have failed from this address"


# --- webhooks ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def with_service(home: Path, answer: Answer, *asks: str, **more: Any) -> AsyncIterator[tuple[Ways, WebService]]:
    """`asks`: which of password, public_key and authz the service is asked about."""
    await new_key(home)
    idle = Auth(users={"carol": User(password_hash=HASH)})  # for its loop: the service is there before the settings
    async with open_ways(home, idle), open_service(answer) as service:
        webhook = AskWebhook(method="webhook", webhook=Webhook(url=service.url, **more))
        auth = replace(idle, **dict.fromkeys(asks, webhook))
        expose = Docker(execution=Execution(expose_auth_metadata_as_env=True))
        async with open_ways(home, auth, docker=expose) as ways:
            yield ways, service


async def test_a_webhook_knows_the_key_and_is_asked_once(tmp_path: Path) -> None:
    async with with_service(tmp_path, yes, "public_key") as (ways, service):
        outcome = await ways.log_in(user="anybody")
        assert outcome.login.username == "anybody"
        (heard,) = service.heard
        assert heard.path == "/pubkey"
        assert heard.tree["publicKey"] == " ".join(_read(tmp_path / "id.pub").split()[:2])
        assert heard.tree["clientVersion"].startswith("SSH-2.0-OpenSSH")
        assert heard.tree["remoteAddress"].startswith("127.0.0.1:")


async def test_a_webhook_knows_the_password_unless_we_do(tmp_path: Path) -> None:
    def only_swordfish(heard: Heard) -> Tree:
        return {"success": heard.tree["passwordBase64"] == "c3dvcmRmaXNo"}

    async with with_service(tmp_path, only_swordfish, "password") as (ways, service):
        assert (await ways.log_in(*NO_KEY, user="bob", env=askpass(tmp_path, "swordfish"))).is_in
        assert not (await ways.log_in(*NO_KEY, user="bob", env=askpass(tmp_path, "wrong"))).is_in
        heard = len(service.heard)
        assert (await ways.log_in(*NO_KEY, user="carol", env=askpass(tmp_path))).is_in
        assert len(service.heard) == heard


async def test_it_may_name_the_user_otherwise_and_give_variables(tmp_path: Path) -> None:
    said = {
        "success": True,
        "authenticatedUsername": "anna",
        "metadata": {"TEAM": {"value": "blue"}, "not a name": {"value": "x"}},
        "environment": {"A": {"value": "b", "sensitive": True}},
        "files": {"/etc/motd": {"value": "aGk="}},
    }
    async with with_service(tmp_path, lambda heard: said, "public_key") as (ways, _):
        assert (await ways.log_in(user="ann")).login.username == "anna"
        assert ways.host.supervisor.sessions[0].vault.env == {"TEAM": "blue", "A": "b"}
        assert ways.host.supervisor.connections[0].files == {"/etc/motd": b"hi"}


async def test_the_last_word(tmp_path: Path) -> None:
    def answer(heard: Heard) -> Tree:
        if heard.path == "/pubkey":
            return {"success": True, "authenticatedUsername": "anna", "metadata": {"TEAM": {"value": "blue"}}}
        return {"success": heard.tree["username"] != "mallory", "environment": {"A": {"value": "b"}}}

    async with with_service(tmp_path, answer, "public_key", "authz") as (ways, service):
        assert (await ways.log_in(user="ann")).login.username == "anna"
        assert ways.host.supervisor.sessions[0].vault.env == {"TEAM": "blue", "A": "b"}
        assert service.heard[-1].path == "/authz"
        assert service.heard[-1].tree["authenticatedUsername"] == "anna"
        assert service.heard[-1].tree["metadata"] == {"TEAM": {"value": "blue", "sensitive": False}}
        outcome = await ways.log_in(user="mallory")
        assert not outcome.is_in
        assert "AUTHZ_FAILED" in ways.codes()


async def test_what_is_sensitive_is_kept_from_the_last_word(tmp_path: Path) -> None:
    """It is for the container alone, and is written down nowhere."""

    def answer(heard: Heard) -> Tree:
        if heard.path == "/pubkey":
            secret = {"value": "hunter2", "sensitive": True}
            return {
                "success": True,
                "metadata": {"TOKEN": secret, "TEAM": {"value": "blue"}},
                "environment": {"A": secret},
            }
        return {"success": True}

    async with with_service(tmp_path, answer, "public_key", "authz") as (ways, service):
        assert (await ways.log_in(user="ann")).is_in
        assert ways.host.supervisor.sessions[0].vault.env == {"TOKEN": "hunter2", "TEAM": "blue", "A": "hunter2"}
        tree = service.heard[-1].tree
        assert set(tree["metadata"]) == {"TEAM"} and not tree.get("environment")
        assert "hunter2" not in str(ways.host.supervisor.said)


async def test_the_last_word_about_our_own_users_too(tmp_path: Path) -> None:
    async with with_service(tmp_path, lambda heard: {"success": False}, "authz") as (ways, service):
        assert not (await ways.log_in(*NO_KEY, user="carol", env=askpass(tmp_path))).is_in
        assert {heard.path for heard in service.heard} == {"/authz"}


async def test_a_service_that_stumbles_is_asked_again(tmp_path: Path) -> None:
    count = 0

    def answer(heard: Heard) -> Any:
        nonlocal count
        count += 1
        return status(503)(heard) if count < 3 else {"success": True}

    async with with_service(tmp_path, answer, "public_key") as (ways, service):
        assert (await ways.log_in(user="ann")).is_in
        assert len(service.heard) == 3


@pytest.mark.parametrize(
    ("answer", "asked"), [(status(403), 1), (status(404), 1), (status(200, "junk"), 1), (status(500), 3)]
)
async def test_one_that_will_not_is_believed(answer: Callable[[Heard], Any], asked: int, tmp_path: Path) -> None:
    async with with_service(tmp_path, answer, "public_key", auth_timeout=20.0) as (ways, service):
        outcome = await ways.log_in(user="ann")
        assert not outcome.is_in
        assert len(service.heard) == asked
        assert {"AUTH_BACKEND_ERROR", "SSH_AUTH_UNAVAILABLE"} <= ways.codes()
        assert b"service" not in outcome.stderr and b"webhook" not in outcome.stderr


async def test_the_budget_of_all_calls_ends(tmp_path: Path) -> None:
    async with with_service(tmp_path, status(503), "public_key", auth_timeout=1.0) as (ways, service):
        assert not (await ways.log_in(user="ann")).is_in
        assert "SSH_AUTH_UNAVAILABLE" in ways.codes()
        assert len(service.heard) > 1
        assert not ways.host.supervisor.sources.is_limited("password", ways.host.supervisor.logins[0]._client, "ann")


def _read(path: Path) -> str:
    return path.read_text()
