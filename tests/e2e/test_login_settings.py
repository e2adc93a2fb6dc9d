"""What a rule or the configuration webhook gives a login that the file could give all: the agent, a registry login, a
container that is ready."""

from typing import Any

import pytest
import trio

from actors.pool import SPARE_NAME
from moorage.testing import FakeImage
from protocol.settings import Rule
from tests.e2e import outside
from tests.e2e.harness import Done, Harness
from tests.e2e.runs import Setup
from tests.e2e.runs_rules import SHOW, UNSETTLED, hooked, lab_image, says
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


async def test_a_link_that_the_webhook_names_is_followed(setup: Setup) -> None:
    """To the state folder here; the webhook cannot allow itself that."""
    (setup.folder / "data").symlink_to(setup.folder / "state")
    binds = {"binds": [f"{setup.folder}/data:/data"]}
    answer = says(part(host=binds))
    async with hooked(setup, answer) as (harness, _):
        assert await harness.ssh("echo hi") == UNSETTLED
        (details,) = harness.said.details("BACKEND_CONFIG_ERROR")
        assert "docker.execution.host.Binds[0]" in details["why"] and "which Moorage keeps for itself" in details["why"]


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


@pytest.mark.engine
@pytest.mark.parametrize("transport", ["exec", "served"])
async def test_each_image_of_a_site_has_a_warm_login(setup: Setup, transport: str) -> None:
    """With `auto`, the second login of each image finds its container ready, and has the variables of its own user."""
    with lab_image(setup) as image:

        def variable(user: str) -> Rule:
            return Rule(name=user, users=(user,), settings=part(container={"Env": [f"LAB={user}"]}))

        rules = (
            Rule(name="lab", users=("carol",), settings=part(container={"Image": image})),
            *(variable(user) for user in ("alice", "bob", "carol")),
        )
        more = {"ways": everybody(setup), "transport": transport, "pool": "auto"}
        async with setup.harness(rules=rules, **more) as harness:
            for place, user in enumerate(("alice", "carol"), 1):
                assert await harness.ssh(SHOW, "-l", user) == Done(7, f"{user}\n".encode(), b"")
                await harness.said.until("MOORAGE_SPARE_READY", place)
            names = [name for name in harness.containers() if name.startswith(SPARE_NAME)]
            made = [outside.call("GET", f"/containers/{name}/json")[1]["Config"] for name in names]
            assert {config["Image"] for config in made} == {setup.image, image}
            assert not any(user in str(config) for config in made for user in ("alice", "carol", "LAB="))
            for user in ("bob", "carol"):
                assert await harness.ssh(SHOW, "-l", user) == Done(7, f"{user}\n".encode(), b"")
            statistics = harness.server.statistics()["pool"]
            assert (statistics["hits"], statistics["misses"]) == (2, 2)
            assert {group["image"] for group in statistics["groups"]} == {setup.image, image}
