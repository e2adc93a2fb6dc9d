"""What the wire can do to us: an engine that breaks off, talks nonsense, refuses, hangs. No real engine needed."""

import os
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.engine.docker import DockerEngine
from actors.ports import ContainerOrder, EngineFault, ExecOrder
from protocol.base import Size
from tests.actors.engine.crooked import SWITCHED, Asked, CrookedEngine, connect, crooked_engine, http, refused
from tests.protocol.test_stdcopy import frame
from tests.sink import RecordingSink

pytestmark = pytest.mark.trio
SIZE = Size(columns=132, rows=43)
FOUND = {"Id": "abc", "Config": {"Labels": {"moorage.token": "t"}}, "State": {"OOMKilled": True}}


async def fault_of(call: Any) -> EngineFault:
    with pytest.raises(EngineFault) as caught:
        await call
    assert "\n" not in caught.value.why and len(caught.value.why) <= 600
    return caught.value


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", "unavailable"),
        (b"HTTP/1.1 200 OK\r\nContent-", "unavailable"),
        (http(200, FOUND, length=10_000), "unavailable"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "internal"),
        (bytes(range(256)), "internal"),
        (http(200, b"<html>", kind="text/html"), "internal"),
        (http(200, b"{"), "internal"),
        (http(200, []), "internal"),
        (http(200, {}), "internal"),
        (http(200, 5), "internal"),
        (refused(400), "invalid"),
        (refused(401), "denied"),
        (refused(403), "denied"),
        (refused(404), "not_found"),
        (refused(409), "conflict"),
        (refused(418), "internal"),
        (refused(500), "internal"),
        (refused(501), "internal"),
        (refused(503), "unavailable"),
        (http(500, b"plain text", kind="text/plain"), "internal"),
        (http(500, b"\xff\xfe", kind="text/plain"), "internal"),
        (http(500, []), "internal"),
    ],
)
async def test_class_of_each_answer(crooked: CrookedEngine, answer: bytes, fault: str) -> None:
    crooked.answers[""] = answer
    async with connect(crooked) as engine:
        assert (await fault_of(engine.inspect_image("i:1"))).fault == fault
        assert (await fault_of(engine.create_exec(ExecOrder(container="c", command=["x"])))).fault == fault
        if fault not in ("not_found",):
            assert (
                await fault_of(engine.create_container(ContainerOrder(name="n", token="t", image="i")))
            ).fault == fault
            assert (await fault_of(engine.remove_container("n", "t"))).fault == fault


async def test_words_are_one_line_escaped_and_cut(crooked: CrookedEngine) -> None:
    async with connect(crooked) as engine:
        crooked.answers[""] = refused(500, "one\r\ntwo \x1b[31mred\x07 ü " + "x" * 5000)
        fault = await fault_of(engine.inspect_image("i"))
        assert fault.why.startswith("one two \\x1b[31mred\\x07 ü xxx") and len(fault.why) < 520


async def test_hanging_engine_is_a_timeout(crooked: CrookedEngine) -> None:
    async def hang(asked: Asked, stream: trio.SocketStream) -> bytes | None:
        await trio.sleep_forever()

    crooked.answers[""] = hang
    async with connect(crooked, seconds=0.1) as engine:
        for call in (
            engine.start_container("c"),
            engine.remove_container("c", "t"),
            engine.start_exec("e", False, None, RecordingSink()),
            engine.inspect_exec("e"),
            engine.list_containers({}),
        ):
            fault = await fault_of(call)
            assert fault.fault == "timeout" and "0.1 s" in fault.why


async def test_engine_goes_away(crooked: CrookedEngine) -> None:
    async with connect(crooked) as engine:
        os.unlink(crooked.url.removeprefix("unix://"))
        assert (await fault_of(engine.start_container("c"))).fault == "unavailable"
        assert (await fault_of(engine.wait_container("c"))).fault == "unavailable"
        assert (await fault_of(engine.pull_image("i", {}, {}, print))).fault == "unavailable"
        assert (await fault_of(engine.attach_container("c", False, RecordingSink()))).fault == "unavailable"
    assert (await fault_of(engine.start_container("c"))).fault == "unavailable"  # closed


async def test_no_engine_at_all(tmp_path: Path) -> None:
    async with crooked_engine(tmp_path) as crooked:
        for url, fault in (
            (f"unix://{tmp_path}/absent.sock", "unavailable"),
            ("ssh://host", "invalid"),
            ("nonsense", "invalid"),
        ):
            crooked.url = url
            with pytest.raises(EngineFault) as caught:
                async with connect(crooked):
                    pass
            assert caught.value.fault == fault and url in caught.value.why


@pytest.mark.parametrize(
    ("said", "spoken"), [("1.41", "v1.41"), ("1.44", "v1.44"), ("1.55", "v1.55"), ("1.99", "v1.55"), ("2.0", "v1.55")]
)
async def test_version_is_negotiated(crooked: CrookedEngine, said: str, spoken: str) -> None:
    crooked.api = said
    async with connect(crooked) as engine:
        assert "v{}.{}".format(*engine.api) == spoken
        assert engine._control.api_version == engine._streams.api_version == spoken


@pytest.mark.parametrize(("said", "fault"), [("1.40", "invalid"), ("", "internal"), ("new", "internal")])
async def test_versions_that_do_not_do(crooked: CrookedEngine, said: str, fault: str) -> None:
    crooked.api = said
    with pytest.raises(EngineFault) as caught:
        async with connect(crooked):
            pass
    assert caught.value.fault == fault and crooked.url in caught.value.why


@pytest.mark.parametrize(("api", "sized"), [("1.41", False), ("1.42", True)])
async def test_first_size_goes_along_where_it_is_honoured(crooked: CrookedEngine, api: str, sized: bool) -> None:
    crooked.api = api
    crooked.answers["POST /containers/create"] = crooked.answers["POST /containers/c/exec"] = http(201, {"Id": "e"})
    crooked.answers["POST /exec/e/start"] = SWITCHED
    async with connect(crooked) as engine:
        await engine.create_container(ContainerOrder(name="n", token="t", image="i", tty=True, size=SIZE))
        await engine.create_exec(ExecOrder(container="c", command=["x"], tty=True, size=SIZE))
        await engine.start_exec("e", True, SIZE, RecordingSink())
    create, made, started = (asked.json() for asked in crooked.asked)
    for body in (create["HostConfig"], made, started):
        assert body.get("ConsoleSize") == ([43, 132] if sized else None)
    assert started["Detach"] is False and started["Tty"] is True


async def test_started_already_is_done(crooked: CrookedEngine) -> None:
    crooked.answers["POST /containers/c/start"] = b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"
    async with connect(crooked) as engine:
        await engine.start_container("c")


async def test_removal(crooked: CrookedEngine) -> None:
    """By id and with force and volumes; being removed is a conflict; gone is done; another's is not touched."""
    crooked.answers["GET /containers/n/json"] = http(200, FOUND)
    async with connect(crooked) as engine:
        for answer in (http(204), refused(404)):
            crooked.answers["DELETE"] = answer
            await engine.remove_container("n", "t")
        assert crooked.asked[-1].target.split("?")[0] == "/containers/abc"
        assert set(crooked.asked[-1].target.split("?")[1].split("&")) == {"force=1", "v=1"}
        crooked.answers["DELETE"] = refused(409, "removal of container n is already in progress")
        assert (await fault_of(engine.remove_container("n", "t"))).fault == "conflict"
        crooked.asked.clear()
        await engine.remove_container("n", "another")
        assert [asked.method for asked in crooked.asked] == ["GET"]


async def test_conflict_with_one_that_is_gone_again(crooked: CrookedEngine) -> None:
    crooked.answers["POST /containers/create"] = refused(409, "name in use")
    async with connect(crooked) as engine:
        order = ContainerOrder(name="n", token="t", image="i")
        assert (await fault_of(engine.create_container(order))).why == "name in use"
        crooked.answers["GET /containers/n/json"] = http(200, FOUND)
        assert await engine.create_container(order) == "abc"


async def test_a_taken_name_is_a_conflict_also_where_the_engine_says_500(crooked: CrookedEngine) -> None:
    """Podman does; what else is wrong inside the engine stays what it is."""
    crooked.answers["POST /containers/create"] = refused(500, "that name is already in use")
    crooked.answers["GET /containers/n/json"] = http(200, FOUND)
    async with connect(crooked) as engine:
        assert await engine.create_container(ContainerOrder(name="n", token="t", image="i")) == "abc"
        another = ContainerOrder(name="n", token="another", image="i")
        assert (await fault_of(engine.create_container(another))).fault == "conflict"
        crooked.answers["GET /containers/n/json"] = refused(404, "no such container")
        assert (await fault_of(engine.create_container(another))).fault == "internal"


async def test_wait(crooked: CrookedEngine) -> None:
    crooked.answers["GET /containers/c/json"] = http(200, FOUND)
    async with connect(crooked) as engine:
        crooked.answers["POST /containers/c/wait"] = http(200, {"StatusCode": 137, "Error": None})
        end = await engine.wait_container("c")
        assert (end.status, end.oom) == (137, True)
        assert crooked.asked[0].target.endswith("?condition=not-running")
        crooked.answers["POST /containers/c/wait"] = http(200, {"StatusCode": 3})
        end = await engine.wait_container("c")
        assert (end.status, end.oom) == (3, False)
        for broken in (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", http(200, b"")):
            crooked.answers["POST /containers/c/wait"] = broken
            assert (await fault_of(engine.wait_container("c"))).fault == "unavailable"
        crooked.answers["POST /containers/c/wait"] = http(200, {"StatusCode": -1, "Error": {"Message": "lost"}})
        assert (await fault_of(engine.wait_container("c"))).why == "lost"


async def test_cancelled_call_settles_first(crooked: CrookedEngine) -> None:
    """The engine's answer comes after the cancellation, and the caller is held until then."""
    asked_for, go_on, order = trio.Event(), trio.Event(), []

    async def create(asked: Asked, stream: trio.SocketStream) -> bytes:
        asked_for.set()
        await go_on.wait()
        order.append("created")
        return http(201, {"Id": "abc"})

    crooked.answers["POST /containers/create"] = create
    async with connect(crooked) as engine, trio.open_nursery() as nursery:

        async def land() -> None:
            try:
                await engine.create_container(ContainerOrder(name="n", token="t", image="i"))
                await trio.sleep_forever()
            finally:
                order.append("cancelled")

        nursery.start_soon(land)
        await asked_for.wait()
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await trio.testing.wait_all_tasks_blocked(0.05)
        assert order == []
        go_on.set()
    assert order == ["created", "cancelled"]


async def test_cancelled_before_it_began_asks_nothing(crooked: CrookedEngine) -> None:
    async with connect(crooked) as engine:
        with trio.CancelScope() as scope:
            scope.cancel()
            await engine.start_container("c")
        assert scope.cancelled_caught and crooked.asked == []


async def test_waits_do_not_block_calls(crooked: CrookedEngine) -> None:
    """More waits than a pool has connections by default, and a control call beside them."""

    all_wait = trio.Event()

    async def hang(asked: Asked, stream: trio.SocketStream) -> bytes | None:
        if len(crooked.asked) == 150:
            all_wait.set()
        await trio.sleep_forever()

    crooked.answers["POST /containers/c/wait"] = hang
    crooked.answers["GET /images/"] = http(200, {"Id": "sha256:1"})
    async with connect(crooked) as engine, trio.open_nursery() as nursery:
        for _ in range(150):
            nursery.start_soon(engine.wait_container, "c")
        with trio.fail_after(10):
            await all_wait.wait()
        assert await engine.inspect_image("i") == "sha256:1"
        nursery.cancel_scope.cancel()


async def pull(engine: DockerEngine, **fields: Any) -> list[str]:
    lines: list[str] = []
    await engine.pull_image(
        fields.get("reference", "i"), fields.get("platform", {}), fields.get("auth", {}), lines.append
    )
    return lines


@pytest.mark.parametrize(
    ("reference", "query"),
    [
        ("i", "fromImage=i&tag=latest"),
        ("r.example:5000/a", "fromImage=r.example:5000/a&tag=latest"),
        ("i:2", "fromImage=i:2"),
        ("i@sha256:00", "fromImage=i@sha256:00"),
    ],
)
async def test_one_tag_is_pulled(crooked: CrookedEngine, reference: str, query: str) -> None:
    crooked.answers["POST /images/create"] = http(200, b"")
    async with connect(crooked) as engine:
        await pull(engine, reference=reference)
        (asked,) = crooked.asked
        assert asked.target == f"/images/create?{query}" and "x-registry-auth" not in asked.headers
        await pull(engine, reference="i:1", platform={"architecture": "arm64"}, auth={"username": "u", "password": "p"})
        assert "platform=linux/arm64" in crooked.asked[1].target.replace("%2F", "/")
        assert crooked.asked[1].headers["x-registry-auth"]


async def test_pull_that_breaks(crooked: CrookedEngine) -> None:
    layer = b'{"id":"a","status":"Downloading","progressDetail":{"current":1,"total":2}}\n'
    async with connect(crooked) as engine:
        for body, fault in (
            (http(200, layer, length=5000), "unavailable"),
            (http(200, layer + b"nonsense\n"), "internal"),
            (http(200, layer + b'{"errorDetail":{"code":403,"message":"no"},"error":"no"}\n'), "denied"),
            (http(200, layer + b'{"error":"no"}'), "internal"),
            (http(200, b"x" * 2**21), "internal"),
            (refused(404), "not_found"),
        ):
            crooked.answers["POST /images/create"] = body
            assert (await fault_of(pull(engine))).fault == fault
        crooked.answers["POST /images/create"] = http(200, layer)
        assert await pull(engine) == ["i: downloading 1 layer, 1 of 2 B", "i: pulled 1 layer, 2 B"]


async def test_thousand_calls_keep_no_descriptor(crooked: CrookedEngine) -> None:
    crooked.answers["GET /images/"] = http(200, {"Id": "sha256:1"})
    crooked.answers["POST /exec/e/start"] = SWITCHED + frame(1, b"x")
    crooked.answers["POST /containers/c/start"] = refused(500)
    async with connect(crooked) as engine:

        async def round_() -> None:
            await engine.inspect_image("i")
            await fault_of(engine.start_container("c"))
            sink = RecordingSink()
            stream = await engine.start_exec("e", False, None, sink)
            await sink.ended.wait()
            stream.close()

        await round_()
        await trio.testing.wait_all_tasks_blocked(0.05)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(340):
            await round_()
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_removal_by_id(crooked: CrookedEngine) -> None:
    """No other container has it: there is nothing to look up."""
    async with connect(crooked) as engine:
        crooked.answers["DELETE"] = http(204)
        crooked.asked.clear()
        await engine.remove_container("0123456789abcdef" * 4, "t")
        assert [asked.method for asked in crooked.asked] == ["DELETE"]
