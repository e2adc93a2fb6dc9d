"""What ContainerSSH gets wrong between its configuration and its user, and we must not. One test for each.

`tests/test_defects.py` has the list."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import asyncssh
import msgspec
import pytest
import trio
import trio_asyncio
from asyncssh.constants import MSG_USERAUTH_REQUEST
from asyncssh.packet import String, UInt32
from msgspec.structs import replace

import actors.disk
import actors.recorder
from moorage import serve
from moorage.config import check_config, load
from moorage.testing import FakeEngine, FakeImage
from protocol.settings import Execution, RegistryAuth
from protocol.settings_auth import AskWebhook, Webhook
from protocol.settings_security import Security
from protocol.settings_services import Health, Metrics
from tests.codes_heard import hear
from tests.e2e.harness import Done, Said
from tests.e2e.runs import Setup
from tests.moorage.test_config import CONFIG, HEAD, _file, _with_keys
from tests.webservice import open_service, yes

pytestmark = [pytest.mark.openssh]

IMAGE = "registry.test/team/tools:1"
LOGIN = RegistryAuth(username="robot", password="+/+/", serveraddress="registry.test")


class Watched(FakeEngine):
    """Keeps what was asked for with each pull."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.pulls: list[tuple[Mapping[str, Any], Mapping[str, str]]] = []

    async def pull_image(
        self, reference: str, platform: Mapping[str, Any], auth: Mapping[str, str], progress: Callable[[str], None]
    ) -> None:
        self.pulls.append((platform, auth))
        await super().pull_image(reference, platform, auth, progress)


def refused(done: Done, code: str) -> bool:
    """Told in one sentence, with a status that says that nothing ran."""
    return done.status == 125 and f"({code})".encode() in done.err and b"None" not in done.err


@pytest.mark.trio
async def test_a_pull_knows_the_platform(setup: Setup) -> None:
    platform = {"os": "linux", "architecture": "arm64"}
    async with Watched.open() as engine:
        engine.registry[IMAGE] = FakeImage()
        async with setup.harness(fake=engine, image=IMAGE, platform=platform) as harness:
            assert await harness.ssh("echo hi") == Done(0, b"hi\n", b"")
        assert engine.pulls[0][0] == platform


@pytest.mark.trio
async def test_the_http_limit_does_not_cover_a_pull(setup: Setup) -> None:
    async with setup.fake_harness(http_s=0.05, http=0.05, image=IMAGE) as harness:
        assert harness.fake is not None
        harness.fake.registry[IMAGE] = FakeImage(pull_seconds=0.4)
        assert await harness.ssh("echo hi") == Done(0, b"hi\n", b"")


@pytest.mark.trio
async def test_an_error_within_a_pull_is_told_and_not_tried_for_a_minute(setup: Setup) -> None:
    async with setup.fake_harness(image=IMAGE) as harness:
        assert harness.fake is not None
        harness.fake.registry[IMAGE] = "denied"
        done = await harness.ssh("echo hi")
        assert refused(done, "DOCKER_IMAGE_PULL_FAILED") and b"denied" in done.err
        assert harness.said.count("DOCKER_IMAGE_PULL") == 1


@pytest.mark.trio
@pytest.mark.parametrize("fault", ["conflict", "invalid", "not_found", "denied"])
@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("create_container", "DOCKER_CONTAINER_CREATE_FAILED"),
        ("start_container", "DOCKER_CONTAINER_START_FAILED"),
    ],
)
async def test_permanent_errors_are_not_repeated(setup: Setup, call: str, code: str, fault: str) -> None:
    async with setup.fake_harness(f"{call}: fail({fault})") as harness:
        assert refused(await harness.ssh("echo hi"), code)
        assert harness.fake is not None and harness.fake.calls[call] == 1


@pytest.mark.trio
async def test_a_failed_look_for_the_image_has_its_reason(setup: Setup) -> None:
    async with setup.fake_harness("inspect_image: fail(denied)") as harness:
        assert refused(await harness.ssh("echo hi"), "DOCKER_IMAGE_LISTING_FAILED")


def test_a_registry_login_reaches_the_settings_in_yaml_and_in_json(tmp_path: Path) -> None:
    """That it is used for the pull is tested against a real registry."""
    text = f"{HEAD}docker: {{execution: {{auth: {{username: robot, password: +/+/, serveraddress: registry.test}}}}}}\n"
    assert load(_file(tmp_path, text)).settings.docker.execution.auth == LOGIN
    tree = {
        "ssh": {"hostkeys": ["host_key"]},
        "auth": msgspec.to_builtins(load(_file(tmp_path, HEAD)).settings.auth),
        "docker": {"execution": {"auth": msgspec.to_builtins(LOGIN)}},
    }
    assert load(_file(tmp_path, json.dumps(tree), "x.json")).settings.docker.execution.auth == LOGIN


@pytest.mark.trio
async def test_the_signal_policy_is_not_the_shells(setup: Setup) -> None:
    rules = msgspec.convert({"shell": {"mode": "disable"}}, Security)
    async with setup.fake_harness(security=rules, mode="session") as harness, harness.client() as client:
        process = await client.start("echo on; sleep 60")
        assert await client.line(process) == b"on\n"
        process.send_signal("KILL")
        await client.wait(process)
        assert "SECURITY_SIGNAL_REJECTED" not in harness.said


@pytest.mark.trio
async def test_gssapi_with_authz_is_turned_down_before_the_login_and_harms_nobody(setup: Setup) -> None:
    """Nobody has set GSSAPI up. It is not offered, and a client that tries it all the same hears a no."""

    class Asker(asyncssh.SSHClient):
        def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
            conn._auth_in_progress = True
            self.conn = conn

        def begin_auth(self, username: str) -> None:
            mechanism = String(b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02")  # Kerberos 5
            request = (String("alice"), String("ssh-connection"), String("gssapi-with-mic"), UInt32(1), mechanism)
            for _ in range(3):
                self.conn.send_packet(MSG_USERAUTH_REQUEST, *request)

    async with trio_asyncio.open_loop(), open_service(yes) as service:
        authz = AskWebhook(method="webhook", webhook=Webhook(url=service.url))
        async with setup.fake_harness(ways={"authz": authz}) as harness, harness.client() as other:
            ask = ("-v", "-o", "GSSAPIAuthentication=yes", "-o", "PreferredAuthentications=gssapi-with-mic")
            done = await harness.ssh("true", *ask, "-o", "LogLevel=DEBUG")
            assert done.status == 255 and b"that can continue: publickey" in done.err
            with pytest.raises(asyncssh.PermissionDenied):
                async with harness.client(client_factory=Asker, client_keys=None):
                    pass
            assert {heard.path for heard in service.heard} == {"/authz"} and len(service.heard) == 1
            assert (await other.run("echo on")).out == b"on\n"


class SlowDisk:
    """In place of `os` for the recordings: each write waits until it is let go on."""

    def __init__(self) -> None:
        self.goes_on, self.waits = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: memoryview) -> int:
        self.waits.set()
        assert self.goes_on.wait(60)
        return os.write(fd, data)


@pytest.mark.trio
async def test_a_disk_that_hangs_under_the_recordings_keeps_nobody_waiting(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the login whose recording it is nor the next one; and when it goes on, not a line is missing."""
    disk = SlowDisk()
    monkeypatch.setattr(actors.recorder, "os", disk)
    async with setup.fake_harness() as harness:
        assert await harness.ssh("echo first") == Done(0, b"first\n", b"")
        await harness.all_gone()
        await trio.to_thread.run_sync(disk.waits.wait, 10)
        with trio.fail_after(10):
            assert await harness.ssh("echo second") == Done(0, b"second\n", b"")
            async with harness.client() as client:
                assert (await client.run("exit 3")).status == 3
            await harness.all_gone()
        assert not harness.scenarios() and "MOORAGE_RECORD_FAILED" not in harness.said
        disk.goes_on.set()
    assert len(harness.scenarios()) == 3  # and each replays: the harness sees to that


@pytest.mark.trio
async def test_a_disk_that_takes_too_little_costs_recordings_and_no_memory(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk()
    monkeypatch.setattr(actors.recorder, "os", disk)
    monkeypatch.setattr(actors.disk, "WAITING_BYTES_MAX", 40_000)
    folder = setup.folder / "recordings"
    async with setup.fake_harness(allow=("MOORAGE_RECORD_FAILED",)) as harness:
        for _ in range(8):
            async with harness.client() as client:
                assert (await client.run("exit 3")).status == 3
            await harness.all_gone()
        (details,) = harness.said.details("MOORAGE_RECORD_FAILED")
        assert "too slow" in details["why"]
        disk.goes_on.set()
    kept = len(list(folder.glob("*.jsonl")))
    assert 0 < kept < 8 and not list(folder.glob("*.part"))


@pytest.mark.trio
async def test_at_the_end_a_disk_that_hangs_is_told_and_left(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = SlowDisk()
    monkeypatch.setattr(actors.recorder, "os", disk)
    monkeypatch.setattr(actors.disk, "CLOSE_S", 0.2)
    settings, said = setup.settings(fake=True), Said()
    async with (
        FakeEngine.open() as engine,
        serve(settings, say=said, engine=engine) as server,
        await trio.open_tcp_stream("127.0.0.1", server.port) as stream,
    ):
        await stream.receive_some()
    assert "has not taken them" in said.details("MOORAGE_RECORD_FAILED")[0]["why"]
    disk.goes_on.set()


@pytest.mark.trio
async def test_what_is_switched_off_does_not_listen(setup: Setup) -> None:
    """Health and metrics are off, or not served: the one port is that of SSH, and nobody says another is open."""
    for section in ({"enable": False}, {"enable": True}):
        settings = replace(
            setup.settings(fake=True),
            health=msgspec.convert(section, Health),
            metrics=msgspec.convert(section, Metrics),
        )
        said = Said()
        async with FakeEngine.open() as engine, serve(settings, say=said, engine=engine) as server:
            assert listening() == {server.port}
        assert not {"HEALTH_AVAILABLE", "METRICS_AVAILABLE"} & {name for name, _ in said.lines}


def listening() -> set[int]:
    """The TCP ports on which this process listens."""
    own = {os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {int(one[1].rpartition(":")[2], 16) for one in lines if one[3] == "0A" and f"socket:[{one[9]}]" in own}


@pytest.mark.parametrize("word", ["enabled", "Disable", "off", "no", "filtre"])
def test_a_typo_in_a_forwarding_mode_is_refused(word: str, tmp_path: Path) -> None:
    out = io.StringIO()
    path = _file(tmp_path, f"{HEAD}security: {{forwarding: {{forwardingMode: {word}}}}}\n")
    assert check_config(path, out) == 1
    assert out.getvalue().startswith(f"security.forwarding.forwardingMode: invalid mode: {word}; allowed: disable")


def test_what_is_not_served_is_never_dropped_in_silence(tmp_path: Path) -> None:
    out = io.StringIO()
    section = "audit: {enable: true, format: binary, storage: file, intercept: {stdout: true}}"
    assert check_config(_file(tmp_path, f"{HEAD}{section}\n"), out) == 1
    assert out.getvalue().startswith("audit.enable: ")


def test_an_empty_list_and_an_empty_text_are_what_they_say(tmp_path: Path) -> None:
    """No default is filled over a value that is empty on purpose."""
    text = f"{HEAD}docker: {{execution: {{mode: session, shellCommand: [], subsystems: {{}}, disableAgent: false}}}}\n"
    execution = load(_file(tmp_path, text)).settings.docker.execution
    assert (execution.shell_command, execution.subsystems) == ((), {})
    assert Execution().subsystems != {}


@pytest.mark.engine
def test_the_old_backend_is_said_once_at_start_and_not_with_each_connection(tmp_path: Path) -> None:
    path = _with_keys(CONFIG / "examples/containerssh-0.3.yaml", tmp_path)
    path.write_text(path.read_text().replace("127.0.0.1:2222", "127.0.0.1:0"))
    command = [sys.executable, "-m", "moorage", "serve", "--config", str(path)]
    log: list[dict[str, Any]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            hear(line)
            log.append(json.loads(line))
            if log[-1]["code"] == "MOORAGE_READY":
                port = log[-1]["details"]["listen"][0].rpartition(":")[2]
                for _ in range(3):
                    keyscan = subprocess.run(["ssh-keyscan", "-p", port, "127.0.0.1"], capture_output=True, check=False)
                    assert b"ssh-rsa" in keyscan.stdout
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
    said = [line["code"] for line in log]
    assert said.count("DOCKERRUN_DEPRECATED") == said.count("CONFIG_LISTEN_DEPRECATED") == 1
    assert said.index("DOCKERRUN_DEPRECATED") < said.index("MOORAGE_READY")
    assert "DOCKER_GUEST_AGENT_DISABLED" not in said  # it has no agent to be disabled
    levels = {line["level"] for line in log if line["code"] == "DOCKERRUN_DEPRECATED"}
    assert levels == {"warning"}
