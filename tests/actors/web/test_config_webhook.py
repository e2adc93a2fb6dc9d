"""The configuration webhook over a real HTTP server: the JSON, who asks, and what may be in an answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio_asyncio
from aiohttp import web

from actors.login import Client, Grant
from actors.ports import OutsideFault
from actors.sources import Said, Sources
from protocol.settings_auth import Auth
from protocol.settings_services import ConfigServer
from protocol.webhook import BinaryValue, Value
from tests.webservice import Answer, Tree, WebService, open_service, status

pytestmark = pytest.mark.trio
CLIENT = Client(connection="0" * 32, remote="192.0.2.1:4022", version="SSH-2.0-Test")
GRANT = Grant(
    username="anna",
    metadata={"team": Value("blue"), "token": Value("hunter2", True)},
    environment={"A": Value("b"), "B": Value("hunter3", True)},
    files={"/f": BinaryValue(b"\x00"), "/g": BinaryValue(b"x", True)},
)
IMAGE = {"docker": {"execution": {"container": {"Image": "x:1"}}}}


@asynccontextmanager
async def asked(answer: Answer, **server: Any) -> AsyncIterator[tuple[Sources, WebService]]:
    with trio.fail_after(30):
        async with trio_asyncio.open_loop(), open_service(answer) as service:
            sources = Sources(Auth(), configserver=ConfigServer(url=f"{service.url}/a/b/", **server))
            try:
                yield sources, service
            finally:
                await sources.close()


async def said(sources: Sources, template: str = "") -> Said:
    return await sources.configure(CLIENT, "ann", GRANT, template)


def config(tree: Tree, **more: Any) -> Answer:
    return lambda heard: {"config": tree, **more}


async def test_the_same_json_as_containersshs_to_exactly_that_address() -> None:
    async with asked(config({})) as (sources, service):
        await said(sources)
        assert service.heard[0].path == "/a/b/"
        assert service.heard[0].tree == {
            "remoteAddress": "192.0.2.1:4022",
            "connectionId": "0" * 32,
            "clientVersion": "SSH-2.0-Test",
            "username": "ann",
            "authenticatedUsername": "anna",
            "metadata": {"team": {"value": "blue", "sensitive": False}},
            "environment": {"A": {"value": "b", "sensitive": False}},
            "files": {"/f": {"value": "AA==", "sensitive": False}},
        }


async def test_what_is_sensitive_is_sent_where_the_configuration_says_so() -> None:
    async with asked(config({}), transmit_sensitive_metadata=True, bearer_token="t0ken") as (sources, service):
        await said(sources, "gpu")
        tree = service.heard[0].tree
        assert set(tree["metadata"]) == {"team", "token", "MOORAGE_TEMPLATE"} and set(tree["files"]) == {"/f", "/g"}
        assert tree["environment"]["B"] == {"value": "hunter3", "sensitive": True}
        assert service.heard[0].headers["Authorization"] == "Bearer t0ken"


async def test_what_it_says_comes_back() -> None:
    more = {"metadata": {"m": {"value": "1"}}, "environment": {"E": {"value": "2"}}, "something": "new"}
    async with asked(config(IMAGE | {"backend": "docker"}, **more)) as (sources, _):
        assert await said(sources) == Said(
            verdict="yes", part=IMAGE, metadata={"m": Value("1")}, environment={"E": Value("2")}
        )


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ({"backend": "kubernetes"}, "config.backend: this is of the whole server"),
        ({"docker": {"connection": {"host": "tcp://x:1"}}}, "config.docker.connection: this is of the whole server"),
        ({"docker": {"execution": {"mode": "sesion"}}}, "config.docker.execution.mode: invalid execution mode: sesion"),
        ({"docker": {"execution": {"host": {"memory": "1"}}}}, "config.docker.execution.host.memory: "),
        ({"dokcer": {"x": 1}}, "config.dokcer: unknown key"),
        ({"rules": [{"name": "r"}]}, "config.rules: this is of the whole server"),
    ],
)
@pytest.mark.parametrize("zero_values", ["set", "skip"])
async def test_it_is_read_as_strictly_as_the_file(tree: Tree, why: str, zero_values: str) -> None:
    async with asked(config(tree), zero_values=zero_values) as (sources, _):
        answer = await said(sources)
        assert answer.verdict == "no" and answer.why.startswith(why)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"config": null}', '{"config": []}', '{"confg": {}}', '{"config": ' + "[" * 100_000]
)
async def test_what_is_no_answer_is_a_fault(text: str) -> None:
    async with asked(lambda heard: web.Response(text=text)) as (sources, _):
        with pytest.raises(OutsideFault) as caught:
            await said(sources)
        assert caught.value.fault == "invalid"


async def test_a_status_has_its_class() -> None:
    async with asked(status(404)) as (sources, _):
        with pytest.raises(OutsideFault) as caught:
            await said(sources)
        assert caught.value.fault == "not_found"


async def test_a_tree_that_is_too_deep_is_refused_in_both_ways_of_reading() -> None:
    deep: Tree = {}
    for _ in range(60):
        deep = {"x": deep, "y": 1}
    for zeros in ("set", "skip"):
        async with asked(config({"docker": {"execution": {"host": {"new": deep}}}}), zero_values=zeros) as (sources, _):
            answer = await said(sources)
            assert answer.verdict == "no" and "too large" in answer.why
