"""What a rule or the configuration webhook gives a login that the file could give all: the agent, a registry login."""

from typing import Any

import pytest
import trio

from moorage.testing import FakeImage
from protocol.settings import Rule
from tests.e2e import outside
from tests.e2e.harness import Done, Harness
from tests.e2e.runs import Setup
from tests.e2e.runs_rules import UNSETTLED, hooked, says
from tests.e2e.test_incumbent import Watched, refused

pytestmark = [pytest.mark.trio, pytest.mark.openssh]
PRIVATE = "registry.test/team/private:1"
OK = Done(0, b"hi\n", b"")


def part(**execution: Any) -> dict[str, Any]:
    return {"docker": {"execution": execution}}


@pytest.mark.parametrize(
    ("transport", "why"),
    [
        ("exec", "no part of the file has allowed the guest agent, so it was not brought"),
        ("auto", "no link is to be tried"),
    ],
)
@pytest.mark.parametrize("mode", ["connection", "session"])
async def test_the_agent_where_there_is_none_is_one_sentence(setup: Setup, transport: str, why: str, mode: str) -> None:
    """And never a program that is started otherwise than the webhook said. The operator reads why."""
    async with hooked(setup, says(part(transport="served")), transport=transport, mode=mode) as (harness, _):
        assert await harness.ssh("echo hi") == UNSETTLED
        (details,) = harness.said.details("BACKEND_CONFIG_ERROR")
        assert details["why"] == f"docker.execution.transport is served, and {why}"
        assert "MOORAGE_CONTAINER_LANDED" not in harness.said


def robots(reference: str, right: dict[str, str], **more: Any) -> tuple[Rule, ...]:
    """alice has the registry's login, bob another one, and who is neither has none."""
    container = {"Image": reference}
    wrong = {**right, "password": "tell-nobody"}
    return (
        Rule(name="all", settings=part(container=container, imagePullPolicy="Always", **more)),
        Rule(name="alice", users=("alice",), settings=part(auth=right)),
        Rule(name="bob", users=("bob",), settings=part(auth=wrong)),
    )


BOTH = {"username": "robot", "password": "sesame", "serveraddress": "registry.test"}


async def as_user(harness: Harness, name: str) -> Done:
    return await harness.ssh("echo hi", "-l", name)


async def three(setup: Setup, harness: Harness) -> None:
    """All at once: each with the login of its own, and none with another's."""
    done: dict[str, Done] = {}

    async def log_in(name: str) -> None:
        done[name] = await as_user(harness, name)

    async with trio.open_nursery() as nursery:
        for name in ("alice", "bob", "carol"):
            nursery.start_soon(log_in, name)
    assert done["alice"] == OK
    for name in ("bob", "carol"):
        assert refused(done[name], "DOCKER_IMAGE_PULL_FAILED"), done[name]
    text = f"{harness.said.lines} {done} {[line for _, scenario in harness.scenarios() for line in scenario.lines]}"
    assert "tell-nobody" not in text and "sesame" not in text


async def test_each_login_pulls_as_its_own_robot(setup: Setup) -> None:
    async with Watched.open() as engine:
        engine.registry[PRIVATE] = FakeImage(login=("robot", "sesame"), pull_seconds=0.4)
        rules = robots(PRIVATE, BOTH)
        async with setup.harness(fake=engine, rules=rules, ways=everybody(setup)) as harness:
            await three(setup, harness)
        assert sorted(auth.get("password", "") for _, auth in engine.pulls) == ["", "sesame", "tell-nobody"]


async def test_one_pull_for_all_who_log_in_alike(setup: Setup) -> None:
    async with Watched.open() as engine:
        engine.registry[PRIVATE] = FakeImage(login=("robot", "sesame"), pull_seconds=0.5)
        rules = (Rule(name="all", settings=part(container={"Image": PRIVATE}, auth=BOTH)),)
        async with (
            setup.harness(fake=engine, rules=rules, ways=everybody(setup)) as harness,
            trio.open_nursery() as nursery,
        ):
            for name in ("alice", "bob", "carol"):
                nursery.start_soon(as_user, harness, name)
        assert len(engine.pulls) == 1


async def test_the_webhook_gives_a_registry_login(setup: Setup) -> None:
    answer = says(part(container={"Image": PRIVATE}, auth=BOTH))
    async with hooked(setup, answer) as (harness, _):
        assert harness.fake is not None
        harness.fake.registry[PRIVATE] = FakeImage(login=("robot", "sesame"))
        assert await harness.ssh("echo hi") == OK


@pytest.mark.engine
@pytest.mark.registry
async def test_each_login_pulls_as_its_own_robot_from_a_real_registry(setup: Setup) -> None:
    registry = setup.registry_with_login
    reference = registry.push("tools/robots")
    try:
        async with setup.harness(rules=robots(reference, registry.auth), ways=everybody(setup)) as harness:
            await three(setup, harness)
    finally:
        outside.forget_image(reference)


def everybody(setup: Setup) -> dict[str, Any]:
    """Ways in for three users, with one key."""
    return {"users": {name: setup.settings(fake=True).auth.users["alice"] for name in ("alice", "bob", "carol")}}
