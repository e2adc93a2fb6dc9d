"""The composition: how a block of `serve` begins and ends, in order or not."""

from pathlib import Path
from typing import Any

import asyncssh
import pytest
import trio
from msgspec.structs import replace

from moorage.cannot_serve import CannotServe
from moorage.daemon import serve
from moorage.testing import FakeEngine
from protocol.codes import Code
from protocol.settings import Auth, Docker, DockerConnection, Execution, Rule, Settings, Ssh, User
from protocol.settings_services import Audit


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "host")
    return Settings(
        ssh=Ssh(listen="127.0.0.1:0", hostkeys=(str(tmp_path / "host"),)),
        auth=Auth(users={"demo": User(password_hash="$6$x$" + "x" * 86)}),
        state=str(tmp_path / "var"),
    )


class Said(list[str]):
    def __call__(self, code: Code, details: Any) -> None:
        self.append(code.name)


@pytest.mark.trio
async def test_leaving_the_block_ends_in_order(settings: Settings) -> None:
    said = Said()
    async with FakeEngine.open() as engine, serve(settings, say=said, engine=engine) as server:
        (await trio.open_tcp_stream("127.0.0.1", server.port)).socket.close()
    assert [name for name in said if name.startswith("MOORAGE_")] == [
        "MOORAGE_ENGINE_FOUND",
        "MOORAGE_READY",
        "MOORAGE_DRAINING",
        "MOORAGE_STOPPED",
    ]
    with pytest.raises(OSError):
        await trio.open_tcp_stream("127.0.0.1", server.port)
    assert list((Path(settings.state) / "boots").iterdir()) == []


@pytest.mark.trio
async def test_a_cancelled_block_ends_in_order_too(settings: Settings) -> None:
    said = Said()
    with trio.move_on_after(0.2) as scope:
        async with FakeEngine.open() as engine, serve(settings, say=said, engine=engine):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert said[-1] == "MOORAGE_STOPPED"


@pytest.mark.trio
@pytest.mark.parametrize("call", ["architecture", "create_container", "start_container", "attach_container"])
async def test_a_block_that_is_cancelled_while_it_begins_ends_and_leaves_nothing(settings: Settings, call: str) -> None:
    said = Said()
    async with FakeEngine.open() as engine:
        engine.failpoints.set(f"{call}: delay(0.5)")
        with trio.fail_after(10), trio.move_on_after(0.2) as scope:
            async with serve(settings, say=said, engine=engine, links=["attach"]):
                raise AssertionError("too late")
        assert scope.cancelled_caught and "MOORAGE_READY" not in said
        assert engine.alive == set()
    assert list((Path(settings.state) / "boots").iterdir()) == []


@pytest.mark.trio
async def test_what_the_block_raises_comes_out_as_it_is(settings: Settings) -> None:
    async with FakeEngine.open() as engine:
        with pytest.raises(KeyError, match="mine"):
            async with serve(settings, engine=engine):
                raise KeyError("mine")


PRIVILEGED = {"docker": {"execution": {"host": {"Privileged": True}}}}
BAD: list[tuple[str, dict[str, Any], str]] = [
    ("a danger", {"docker": Docker(execution=Execution(host={"Privileged": True}))}, "name privileged in"),
    ("its own state", {}, "name ownFiles in"),
    (
        "a danger in a rule",
        {"rules": (Rule(name="r", settings=PRIVILEGED),)},
        "rules[0].settings.docker.execution.host",
    ),
    ("nobody", {"auth": Auth()}, "auth.users: no authentication method configured"),
    ("no host key", {"ssh": Ssh(listen="127.0.0.1:0")}, "ssh.hostkeys: no host key is configured"),
    (
        "no such key file",
        {"auth": Auth(users={"a": User(authorized_keys=("/none",))})},
        "auth.users.a.authorizedKeys[0]",
    ),
    ("what is not served", {"audit": Audit(enable=True, format="binary", storage="file")}, "audit.enable"),
]


@pytest.mark.trio
@pytest.mark.parametrize(("more", "sentence"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
async def test_settings_of_a_program_are_refused_as_those_of_a_file(
    more: dict[str, Any], sentence: str, settings: Settings
) -> None:
    """At the start and at a reload, with the sentences that `check-config` has."""
    bad = replace(settings, **more)
    if sentence == "name ownFiles in":
        bad = replace(bad, docker=Docker(execution=Execution(host={"Binds": [f"{settings.state}:/x"]})))
    async with FakeEngine.open() as engine:
        with pytest.raises(CannotServe) as caught:
            async with serve(bad, engine=engine):
                raise AssertionError("it must not serve")
        assert str(caught.value).startswith("DOCKER_CONFIG_ERROR: ") and sentence in str(caught.value)
        async with serve(settings, engine=engine, reread=lambda: bad) as server:
            answer = await server.reload()
            assert sentence in answer.error and server.reloads.current == settings


@pytest.mark.trio
async def test_no_engine_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    nowhere = replace(settings, docker=Docker(connection=DockerConnection(host=f"unix://{tmp_path}/none.sock")))
    with pytest.raises(CannotServe, match=r"MOORAGE_ENGINE_UNREACHABLE: .*none\.sock"):
        async with serve(nowhere):
            raise AssertionError("it must not serve")


@pytest.mark.trio
async def test_a_taken_port_is_one_sentence(settings: Settings) -> None:
    async with FakeEngine.open() as engine, serve(settings, engine=engine) as server:
        taken = replace(settings, ssh=replace(settings.ssh, listen=f"127.0.0.1:{server.port}"))
        with pytest.raises(CannotServe, match=f"SSH_START_FAILED: cannot listen on 127.0.0.1:{server.port}"):
            async with serve(taken, engine=engine):
                raise AssertionError("it must not serve")


@pytest.mark.trio
async def test_a_state_folder_that_cannot_be_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with FakeEngine.open() as engine:
        with pytest.raises(CannotServe, match="cannot keep state in"):
            async with serve(replace(settings, state=f"{tmp_path}/file/x"), engine=engine):
                raise AssertionError("it must not serve")


@pytest.mark.trio
async def test_without_a_control_socket_it_serves_all_the_same(settings: Settings, tmp_path: Path) -> None:
    """A path that no socket can have, because it is too long."""
    said = Said()
    deep = replace(settings, state=str(tmp_path / ("x" * 120)))
    async with (
        FakeEngine.open() as engine,
        serve(deep, say=said, engine=engine) as server,
        await trio.open_tcp_stream("127.0.0.1", server.port) as stream,
    ):
        assert (await stream.receive_some(8)) == b"SSH-2.0-"
    assert said.count("MOORAGE_CONTROL_FAILED") == 1
    assert said[-1] == "MOORAGE_STOPPED"
