"""What ContainerSSH gets wrong between its configuration and its user, and we must not. One test for each."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moorage.config import check_config, load
from moorage.testing import FakeEngine, FakeImage
from protocol.settings import Execution, RegistryAuth
from protocol.settings_security import Security
from tests.codes_heard import hear
from tests.e2e.harness import Done
from tests.e2e.runs import Setup
from tests.moorage.test_config import CONFIG, HEAD, _file, _with_keys

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
