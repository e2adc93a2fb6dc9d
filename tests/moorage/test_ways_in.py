"""Ways in through the whole daemon, with the engine in memory: what is said, and what a recording of it is worth."""

import io
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
import trio_asyncio

from actors.passwords import make_hash
from actors.totp import code
from moorage.daemon import Server, serve
from moorage.replay import replay_command
from moorage.testing import FakeEngine
from protocol.codes import Code
from protocol.settings import Record, Rule, Settings, Ssh
from protocol.settings_auth import AskWebhook, Auth, FailureLimit, KeyboardInteractive, OAuth2, Oidc, User, Webhook
from protocol.settings_services import ConfigServer
from tests.actors.ssh.ways import TOTP
from tests.moorage.test_daemon import Said
from tests.oidc_provider import SECRET, Provider, open_provider
from tests.webservice import Heard, open_service, status

KEY = asyncssh.generate_private_key("ssh-ed25519")
LINE = KEY.export_public_key().decode().strip()
PASSWORD = "correct horse"
HASH = make_hash(PASSWORD)


class Typist(asyncssh.SSHClient):
    """Answers whatever is asked with the code of now."""

    def kbdint_auth_requested(self) -> str:
        return ""

    def kbdint_challenge_received(self, name: str, text: str, lang: str, prompts: Any) -> list[str]:
        return [code(b"12345678901234567890", int(time.time()) // 30) for _ in prompts]


class Told(Said):
    """With the details."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, Any]] = []

    def __call__(self, code: Code, details: Any) -> None:
        super().__call__(code, details)
        self.lines.append((code.name, details))


class Daemon:
    def __init__(self, server: Server, said: Told) -> None:
        self.server, self.said = server, said

    async def log_in(self, username: str = "alice", **options: Any) -> bool:
        options = {"client_keys": [KEY], "known_hosts": None, "config": None, "agent_path": None, **options}
        connect = partial(asyncssh.connect, "127.0.0.1", self.server.port, username=username, **options)
        try:
            conn = await trio_asyncio.aio_as_trio(connect)()
        except (asyncssh.PermissionDenied, asyncssh.ProtocolError):  # the second: too often
            return False
        conn.close()
        await trio_asyncio.aio_as_trio(conn.wait_closed)()
        return True


@asynccontextmanager
async def daemon(folder: Path, auth: Auth, **more: Any) -> AsyncIterator[Daemon]:
    """Every login is recorded, and every recording has to replay equal and to hold no secret."""
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(folder / "host")
    said = Told()
    settings = Settings(
        ssh=Ssh(listen="127.0.0.1:0", hostkeys=(str(folder / "host"),)),
        auth=auth,
        state=str(folder / "var"),
        record=Record(directory=str(folder / "scenarios")),
        **more,
    )
    with trio.fail_after(60):
        async with (
            FakeEngine.open() as engine,
            trio_asyncio.open_loop(),
            serve(settings, say=said, engine=engine) as server,
        ):
            yield Daemon(server, said)
    _replay(folder)


def _replay(folder: Path) -> None:
    files = [str(path) for path in (folder / "scenarios").glob("*.jsonl")]
    out = io.StringIO()
    assert files and replay_command(files, False, False, out) == 0, out.getvalue()
    text = "".join(Path(file).read_text() for file in files)
    assert "attempt_made" in text and PASSWORD not in text and SECRET not in text and TOTP not in text


@pytest.mark.trio
async def test_a_key_a_code_and_the_limit(tmp_path: Path) -> None:
    auth = Auth(
        users={"alice": User(authorized_keys=(LINE,), totp=TOTP), "bob": User(password_hash=HASH)},
        failures=FailureLimit(max=2, period=3600.0),
    )
    async with daemon(tmp_path, auth) as it:
        assert await it.log_in(client_factory=Typist)
        assert "MOORAGE_AUTH_PARTIAL" in it.said and "SSH_AUTH_SUCCESSFUL" in it.said
        for password in ("wrong", "wrong again", PASSWORD):
            assert not await it.log_in("bob", client_keys=None, password=password)
        assert it.said.count("MOORAGE_AUTH_LIMITED") == 1


@pytest.mark.trio
async def test_a_key_is_taken_back_while_the_daemon_runs(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("")
    async with daemon(tmp_path, Auth(users={"alice": User(authorized_keys=(LINE,))}, revoked_keys=str(revoked))) as it:
        assert await it.log_in()
        revoked.write_text(LINE)
        assert not await it.log_in() and "MOORAGE_REVOKED_KEYS_UNREADABLE" not in it.said
        revoked.unlink()
        assert not await it.log_in() and "MOORAGE_REVOKED_KEYS_UNREADABLE" in it.said
        revoked.write_text("")
        assert await it.log_in()


@pytest.mark.trio
async def test_services_that_say_yes_no_and_nothing(tmp_path: Path) -> None:
    def answer(heard: Heard) -> Any:
        if heard.tree["username"] == "broken":
            return status(403)(heard)
        yes = heard.path != "/authz" or heard.tree["username"] != "mallory"
        return {"success": yes, "environment": {"A": {"value": "b"}}}

    async with trio_asyncio.open_loop(), open_service(answer) as service:
        hook = AskWebhook(method="webhook", webhook=Webhook(url=service.url))
        async with daemon(tmp_path, Auth(password=hook, public_key=hook, authz=hook)) as it:
            assert await it.log_in()
            assert await it.log_in(client_keys=None, password=PASSWORD)
            assert not await it.log_in("mallory")
            assert "AUTHZ_FAILED" in it.said
            assert not await it.log_in("broken")
            assert {"AUTH_BACKEND_ERROR", "SSH_AUTH_UNAVAILABLE"} <= set(it.said)


@pytest.mark.trio
async def test_groups_that_webhooks_name_choose_the_settings(tmp_path: Path) -> None:
    """A key's, and those of the last word; what the configuration webhook says of groups comes too late."""

    def answer(heard: Heard) -> Any:
        group = {"/pubkey": "staff", "/authz": "lab", "/config": "late"}[heard.path]
        key = {"/pubkey": "groups", "/authz": "GROUPS"}.get(heard.path, "Groups")
        said = {"success": True, "metadata": {key: {"value": group}}, "config": {}}
        return said if heard.path != "/authz" else {**said, "authenticatedUsername": "anna"}

    rules = tuple(Rule(name=name, groups=(name,)) for name in ("staff", "lab", "late"))
    rules += (
        Rule(name="anna", users=("anna",), settings={"security": {"maxSessions": 0}}),
        Rule(name="b", users=("alice",)),
    )
    async with trio_asyncio.open_loop(), open_service(answer) as service:
        hook = AskWebhook(method="webhook", webhook=Webhook(url=service.url))
        server = ConfigServer(url=f"{service.url}/config")
        auth = Auth(public_key=hook, authz=hook)
        async with daemon(tmp_path, auth, rules=rules, configserver=server) as it:
            assert await it.log_in()
        (login,) = [details for code, details in it.said.lines if code == "SSH_AUTH_SUCCESSFUL"]
        assert (login["username"], list(login["rules"])) == ("anna", ["staff", "lab", "anna"])
        tree = service.heard[-1].tree
        assert tree["authenticatedUsername"] == "anna" and set(tree["metadata"]) == {"groups", "GROUPS"}


@asynccontextmanager
async def with_provider(
    folder: Path, monkeypatch: pytest.MonkeyPatch, **oidc: Any
) -> AsyncIterator[tuple[Daemon, Provider]]:
    with open_provider(monkeypatch) as provider:
        section = Oidc(url=provider.url, username_field="name", **oidc)
        oauth2 = OAuth2(client_id="moorage", client_secret=SECRET, oidc=section)
        users = {"alice": User(authorized_keys=(LINE,), methods=("publickey,oidc",))}
        interactive = KeyboardInteractive(method="oauth2", oauth2=oauth2)
        async with daemon(folder, Auth(users=users, keyboard_interactive=interactive)) as it:
            yield it, provider


@pytest.mark.trio
async def test_the_page_of_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_provider(tmp_path, monkeypatch) as (it, provider):
        provider.person = {"name": "alice"}
        assert await it.log_in(client_factory=Typist)
        assert not await it.log_in("whoever", client_keys=None, client_factory=Typist)  # alice has to show her key
        provider.person = {"name": "carol"}
        assert await it.log_in("whoever", client_keys=None, client_factory=Typist)
        provider.person = {"name": "bob"}
        assert not await it.log_in(client_factory=Typist)
        assert {"MOORAGE_DEVICE_CODE", "MOORAGE_AUTH_OTHER_NAME"} <= set(it.said)


@pytest.mark.trio
async def test_a_page_that_nobody_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_provider(tmp_path, monkeypatch, login_timeout=1.5) as (it, _):
        assert not await it.log_in(client_factory=Typist)
        assert {"AUTH_OAUTH2_AUTHORIZATION_PENDING", "AUTH_OAUTH2_TIMEOUT"} <= set(it.said)


def test_a_setting_of_old_is_logged_under_its_code(tmp_path: Path) -> None:
    """By a process, as an operator starts it; it ends where there is no engine."""
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "host")
    (tmp_path / "moorage.yaml").write_text(
        "ssh: {listen: '127.0.0.1:0', hostkeys: [host]}\nauth: {url: 'http://127.0.0.1:1', pubkey: true}\n"
        f"docker: {{connection: {{host: 'unix://{tmp_path}/none.sock'}}}}\n"
    )
    command = [sys.executable, "-m", "moorage", "serve", "--config", str(tmp_path / "moorage.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert '"code":"CONFIG_AUTH_URL_DEPRECATED"' in done.stdout, done.stderr
