"""What is said seldom: each said by a running daemon, for its own reason."""

from typing import Any

import pytest
import trio
from asyncssh.packet import String
from msgspec.structs import replace

import actors.supervisor
import moorage.daemon
from actors.bridge import open_loop
from actors.ports import Exit
from moorage.daemon import serve
from moorage.testing import FakeEngine, FakeImage
from protocol.connection import Authenticated
from tests.e2e.harness import FAKE_IMAGE, Done, Harness, Said
from tests.e2e.process import served
from tests.e2e.runs import Setup
from tests.e2e.runs_fault import told
from tests.e2e.test_bad_input import execute, open_channel, read_to_end

pytestmark = pytest.mark.trio


async def test_a_session_without_its_program_is_turned_away_at_shutdown(setup: Setup) -> None:
    points, patience = "create_container: delay(1)", {"grace": 0.1, "kill": 5.0}
    async with setup.fake_harness(points, mode="session", shutdown=patience) as harness, harness.client() as client:
        process = await client.start("true")
        await harness.said.until("DOCKER_CONTAINER_CREATE")
        harness.server.shutdown("TERM")
        done = await client.wait(process)
    assert done == Done(125, b"", told("the server is shutting down", "DOCKER_CONTAINER_SHUTTING_DOWN"))


async def test_a_signal_before_the_program(setup: Setup) -> None:
    async with setup.fake_harness() as harness, harness.client() as client:
        channel = await open_channel(client)
        await channel.ask(b"signal", String("TERM"))
        assert (await execute(client, b"exit 3", channel)).exit == 3
        assert "DOCKER_PROGRAM_NOT_RUNNING" in harness.said


async def test_more_logins_at_once_than_may_be(setup: Setup) -> None:
    async with (
        setup.fake_harness(ssh={"max_startups": 1}) as harness,
        await trio.open_tcp_stream("127.0.0.1", harness.port) as first,
    ):
        assert (await first.receive_some()).startswith(b"SSH-2.0-")
        async with await trio.open_tcp_stream("127.0.0.1", harness.port) as second:
            assert (await read_to_end(second)).startswith(b"Too many connections")
        await harness.said.until("MOORAGE_STARTUPS_FULL")


async def test_a_sweep_that_fails_is_said_and_tried_again(setup: Setup) -> None:
    async with setup.fake_harness("list_containers: 1*fail(unavailable) -> off") as harness:
        await harness.said.until("MOORAGE_SWEEP_FAILED")
        async with harness.client() as client:
            assert (await client.run("exit 3")).status == 3


async def test_a_recording_that_cannot_be_written_stops_nobody(setup: Setup) -> None:
    (setup.folder / "recordings").write_text("a file where the folder should be")
    async with setup.fake_harness(allow=("MOORAGE_RECORD_FAILED",)) as harness, harness.client() as client:
        assert (await client.run("exit 3")).status == 3
        assert "MOORAGE_RECORD_FAILED" in harness.said


async def test_an_event_without_a_row_is_said_and_changes_nothing(setup: Setup) -> None:
    async with setup.fake_harness(allow=("MOORAGE_REFUSED",)) as harness, harness.client() as client:
        await harness.said.until("MOORAGE_CONTAINER_LANDED")
        (actor,) = [one for one in harness.server.supervisor.world.actors.values() if one.kind.name == "connection"]
        actor.post(Authenticated(username="alice", method="password"))
        await harness.said.until("MOORAGE_REFUSED")
        assert (await client.run("exit 3")).status == 3


async def test_an_error_that_belongs_to_no_connection_ends_none(setup: Setup) -> None:
    async with setup.fake_harness(allow=("MOORAGE_SHIM_FAILED",)) as harness, harness.client() as client:

        def boom() -> None:
            raise RuntimeError("nobody's")

        listener: Any = harness.server._port.listener
        listener._loop.call_soon(boom)
        await harness.said.until("MOORAGE_SHIM_FAILED")
        assert "nobody's" in harness.said.details("MOORAGE_SHIM_FAILED")[0]["error"]
        assert (await client.run("exit 3")).status == 3


async def test_no_control_socket_where_the_path_is_too_long(setup: Setup) -> None:
    settings, said = replace(setup.settings(fake=True), state="s" * 120), Said()
    async with FakeEngine.open() as engine, serve(settings, say=said, engine=engine):
        await said.until("MOORAGE_CONTROL_FAILED")
    assert "MOORAGE_STOPPED" in said


async def test_an_engine_that_never_removes_makes_an_unclean_end(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moorage.daemon, "GONE_S", 0.3)
    settings, said = setup.settings(fake=True, shutdown={"grace": 0.1, "kill": 0.1}), Said()
    async with (
        open_loop(lambda context: None),
        FakeEngine.open(failpoints=["remove_container: hang"], http_s=0.1) as engine,
    ):
        engine.images[FAKE_IMAGE] = FakeImage()
        async with (
            serve(settings, say=said, engine=engine) as server,
            Harness(server, settings, said, engine, setup.folder).client(),
        ):
            await said.until("MOORAGE_CONTAINER_LANDED")
    assert "MOORAGE_STOPPED_UNCLEAN" in said


async def test_a_program_that_still_runs_when_its_output_has_ended(setup: Setup) -> None:
    """The engine's lag of a moment."""
    async with setup.fake_harness() as harness, harness.client() as client:
        assert harness.fake is not None
        inspect, asked = harness.fake.inspect_exec, 0

        async def lagging(exec_id: str) -> Exit | None:
            nonlocal asked
            asked += 1
            return await inspect(exec_id) if asked > 2 else None

        harness.fake.inspect_exec = lagging  # type: ignore[method-assign]
        assert (await client.run("exit 3")).status == 3
        assert harness.said.count("DOCKER_EXIT_CODE_STILL_RUNNING") == 2


async def test_a_client_that_does_not_close_its_channel(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.supervisor, "CLOSE_S", 0.2)
    async with setup.fake_harness("inspect_exec: delay(0.2)") as harness, harness.client() as client:
        process = await client.start("echo out")
        await client.line(process)
        client.conn._transport.pause_reading()  # type: ignore[union-attr]
        await harness.said.until("DOCKER_CLOSE_OUTPUT_FAILED")


@pytest.mark.engine
async def test_remarks_on_the_configuration_are_said_once_at_start(setup: Setup) -> None:
    execution = {"disableAgent": True, "container": {"Image": setup.image, "SomethingNew": 1}}
    async with served(setup.folder, setup.image, execution) as server:
        await server.until("MOORAGE_READY")
        codes = [line["code"] for line in server.said]
        assert codes.count("DOCKER_GUEST_AGENT_DISABLED") == 1
        assert any("SomethingNew" in line["details"].get("warning", "") for line in server.said)
