"""Settings of a login's own: rules, a template that it chooses, and the webhook that is asked for them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import trio_asyncio

from moorage.testing import FakeImage
from protocol import codes
from protocol.settings import Rule
from protocol.settings_services import ConfigServer
from tests.e2e import outside
from tests.e2e.harness import Done, Harness
from tests.e2e.runs import Setup, run
from tests.e2e.runs_fault import told
from tests.webservice import Answer, WebService, open_service, status

SHOW = 'echo "$LAB"; exit 7'
OUT = Done(7, b"3\n", b"")
UNSETTLED = Done(125, b"", told(codes.BACKEND_CONFIG_ERROR.user, "BACKEND_CONFIG_ERROR"))
NOT_YOURS = Done(125, b"", told(codes.MOORAGE_TEMPLATE_REFUSED.user.format(template="lab"), "MOORAGE_TEMPLATE_REFUSED"))
LAB = "busybox:lab"
HOOK = "http://hook.example"


def part(image: str, **execution: Any) -> dict[str, Any]:
    return {"docker": {"execution": {"container": {"Image": image, "Env": ["LAB=3"]}, **execution}}}


@contextmanager
def lab_image(setup: Setup) -> Iterator[str]:
    """The guest image under another name."""
    repo, _, tag = setup.image.rpartition(":")
    name = f"{repo}-lab:{tag}"
    assert outside.call("POST", f"/images/{setup.image}/tag?repo={repo}-lab&tag={tag}")[0] == 201
    setup.called[name] = "lab:1"
    try:
        yield name
    finally:
        outside.forget_image(name)


def image_of(harness: Harness) -> str:
    """That of the one container there is, as the engine has it."""
    (name,) = harness.containers()
    image: str = outside.call("GET", f"/containers/{name}/json")[1]["Config"]["Image"]
    return image


@run("connection-rule-matched", end="exit status 7", rows=("CN0202",), needs=("engine", "openssh"))
async def connection_rule(setup: Setup) -> None:
    """Of three rules two match: one gives another image and environment, the other more memory; a program sees both."""
    with lab_image(setup) as image:
        rules = (
            Rule(name="lab", users=("al*",), settings=part(image)),
            Rule(
                name="guests", users=("guest*",), settings={"docker": {"execution": {"container": {"Image": "no:1"}}}}
            ),
            Rule(
                name="here", addresses=("127.0.0.0/8",), settings={"docker": {"execution": {"host": {"Memory": 2**25}}}}
            ),
        )
        async with setup.harness(rules=rules) as harness:
            assert await harness.ssh(SHOW) == OUT
            async with harness.client() as client:
                await harness.said.until("MOORAGE_CONTAINER_LANDED", 2)
                assert image_of(harness) == image
                (name,) = harness.containers()
                assert outside.call("GET", f"/containers/{name}/json")[1]["HostConfig"]["Memory"] == 2**25
                assert (await client.run(SHOW)).out == OUT.out
            (login, _) = harness.said.details("SSH_AUTH_SUCCESSFUL")
            assert (list(login["rules"]), login["image"]) == (["lab", "here"], image)


@run("session-rule-changes-mode", end="exit status 7", rows=("CN0203", "SS0201|SS0202"), needs=())
async def session_rule(setup: Setup) -> None:
    """The file says one container a connection, a rule one a session; policy and key options go on to hold."""
    rules = (Rule(name="own", settings=part(LAB, mode="session") | {"security": {"tty": {"mode": "disable"}}}),)
    async with setup.fake_harness(rules=rules) as harness:
        _has_lab(harness)
        async with harness.client() as client:
            assert await client.run(SHOW) == OUT
            assert len(harness.said.details("MOORAGE_CONTAINER_LANDED")) == 1


@run("connection-spare-does-not-fit", end="exit status 7", rows=("CN0202", "CT0101"), needs=())
async def spare_does_not_fit(setup: Setup) -> None:
    """A spare is ready, and a rule gives this login another environment: a container is made for it."""
    async with setup.fake_harness(pool=1, rules=(Rule(name="lab", settings=part(LAB)),)) as harness:
        _has_lab(harness)
        await harness.said.until("MOORAGE_SPARE_READY")
        async with harness.client() as client:
            assert await client.run(SHOW) == OUT
        assert harness.server.statistics()["pool"]["hits"] == 0


@run("connection-template-chosen", end="exit status 7", rows=("CN0202",), needs=("engine", "openssh"))
async def template_chosen(setup: Setup) -> None:
    """`ssh alice+lab@host`: a rule allows the template, and alice's own key lets her in."""
    with lab_image(setup) as image:
        rules = (Rule(name="all", templates=("lab",)),)
        async with setup.harness(rules=rules, templates={"lab": part(image)}) as harness:
            assert await harness.ssh(SHOW, "-l", "alice+lab") == OUT
            (login,) = harness.said.details("SSH_AUTH_SUCCESSFUL")
            assert (login["username"], login["template"], login["image"]) == ("alice", "lab", image)
            assert (await harness.ssh(SHOW)).out == b"\n"


@run("connection-template-refused", end="exit status 125", rows=("CN0211", "CN0501"), needs=())
async def template_refused(setup: Setup) -> None:
    """A template that no rule allows to this user: one sentence, and no container."""
    rules = (Rule(name="staff", users=("bob",), templates=("lab",)),)
    async with setup.fake_harness(rules=rules, templates={"lab": part(LAB)}) as harness:
        async with harness.client(username="alice+lab") as client:
            assert await client.run(SHOW) == NOT_YOURS
        assert "MOORAGE_TEMPLATE_REFUSED" in harness.said and "MOORAGE_CONTAINER_LANDED" not in harness.said


@run("connection-template-without-user", end="the login is refused", rows=("CN0201",), needs=())
async def template_stranger(setup: Setup) -> None:
    """Behind the name of nobody a template opens nothing, and tells nothing."""
    rules = (Rule(name="all", templates=("lab",)),)
    async with setup.fake_harness(rules=rules, templates={"lab": part(LAB)}) as harness:
        assert await _is_refused(harness, "mallory+lab")
        assert await _is_refused(harness, "alice+other")  # no template: a name that nobody has


# The webhook.


@asynccontextmanager
async def hooked(setup: Setup, answer: Answer, **more: Any) -> AsyncIterator[tuple[Harness, WebService]]:
    """A server that asks a webhook which really is there, with the engine in memory."""
    server, rules = more.pop("server", {}), more.pop("rules", ())
    async with trio_asyncio.open_loop(), open_service(answer) as service:
        setup.called[service.url] = HOOK
        configserver = ConfigServer(url=f"{service.url}/config", **server)
        async with setup.fake_harness(configserver=configserver, rules=rules, **more) as harness:
            _has_lab(harness)
            yield harness, service


def says(config: Mapping[str, Any], **more: Any) -> Answer:
    return lambda heard: {"config": dict(config), **more}


@run("connection-webhook-configures", end="exit status 7", rows=("AU0317", "AU1102", "CN0202"), needs=("openssh",))
async def webhook_configures(setup: Setup) -> None:
    """The webhook names image, environment and a variable of its own; what a rule has set it sets to 0."""
    host = {"resources": {"memory": 0}, "init": False, "binds": []}
    config = {"backend": "docker", **part(LAB, host=host)}
    rules = (Rule(name="r", settings={"docker": {"execution": {"host": {"Memory": 2**25, "Init": True}}}}),)
    answer = says(config, environment={"LAB": {"value": "4"}}, metadata={"team": {"value": "blue"}})
    async with hooked(setup, answer, rules=rules) as (harness, service):
        assert await harness.ssh(SHOW) == Done(7, b"4\n", b"")
        (heard,) = service.heard
        assert heard.path == "/config" and heard.tree["authenticatedUsername"] == "alice"
        async with harness.client():
            await harness.said.until("MOORAGE_CONTAINER_LANDED", 2)
            assert harness.fake is not None
            (name,) = harness.containers()
            made = harness.fake.order_of(name).host
            assert (made["Memory"], made["Init"], made["Binds"]) == (0, False, [])
        assert {"CONFIG_REQUEST", "CONFIG_RESPONSE"} <= {name for name, _ in harness.said.lines}


@run("connection-webhook-is-told-the-template", end="exit status 7", rows=("AU1102",), needs=())
async def webhook_template(setup: Setup) -> None:
    """What the user has chosen is metadata for the webhook, which has the last word."""
    more = {"rules": (Rule(name="all", templates=("lab",)),), "templates": {"lab": part("no:1")}}
    async with hooked(setup, says(part(LAB)), **more) as (harness, service):
        async with harness.client(username="alice+lab") as client:
            assert await client.run(SHOW) == OUT
        assert service.heard[0].tree["metadata"] == {"MOORAGE_TEMPLATE": {"value": "lab", "sensitive": False}}
        assert service.heard[0].tree["username"] == "alice"


@run("connection-webhook-away", end="exit status 125", rows=("AU1105", "AU1201", "AU1107|AU1202", "CN0212"), needs=())
async def webhook_away(setup: Setup) -> None:
    """It does not answer until configTimeout is over: the user is let in and reads one sentence."""
    async with hooked(setup, status(503), server={"config_timeout": 1.0}) as (harness, _):
        async with harness.client() as client:
            assert await client.run(SHOW) == UNSETTLED
        assert "CONFIG_BACKEND_ERROR" in harness.said and harness.said.count("BACKEND_CONFIG_ERROR") == 1
        assert "MOORAGE_CONTAINER_LANDED" not in harness.said


@run("connection-webhook-denies", end="exit status 125", rows=("AU1106", "CN0212"), needs=("openssh",))
async def webhook_denies(setup: Setup) -> None:
    """A status that asking again cannot help with fails at once."""
    async with hooked(setup, status(403)) as (harness, service):
        assert await harness.ssh(SHOW) == UNSETTLED
        assert len(service.heard) == 1
        (details,) = harness.said.details("BACKEND_CONFIG_ERROR")
        assert details["why"] == "config: it answered with status 403"


@run("connection-webhook-answers-nonsense", end="exit status 125", rows=("AU1103", "CN0212"), needs=())
async def webhook_nonsense(setup: Setup) -> None:
    """A slip in its answer is refused as it would be in the file: the operator reads which, the user one sentence."""
    config = {"docker": {"execution": {"host": {"memroy": 1}}}, "ssh": {"listen": ":1"}}
    async with hooked(setup, says(config)) as (harness, _):
        async with harness.client() as client:
            assert await client.run(SHOW) == UNSETTLED
        (details,) = harness.said.details("BACKEND_CONFIG_ERROR")
        assert "config.docker.execution.host.memroy: unknown key; did you mean Memory?" in details["why"]
        assert "config.ssh: this is of the whole server" in details["why"]


@run("session-webhook-does-not-fit", end="exit status 125", rows=("AU1103", "CN0212"), needs=())
async def webhook_does_not_fit(setup: Setup) -> None:
    """What it says can be read, and makes settings with the file's own that would be refused there."""
    policy = {"docker": {"execution": {"host": {"restartPolicy": {"name": "always"}}}}}
    async with hooked(setup, says(policy), mode="session") as (harness, _):
        async with harness.client() as client:
            assert await client.run(SHOW) == UNSETTLED
        (details,) = harness.said.details("BACKEND_CONFIG_ERROR")
        assert "by the webhook: docker.execution.host.restartPolicy: unsupported" in details["why"]


@run("connection-webhook-dropped", end="the client is gone", rows=("AU1109|AU1206",), needs=())
async def webhook_dropped(setup: Setup) -> None:
    """The client leaves while its settings are asked for."""
    async with hooked(setup, status(503)) as (harness, service):
        async with harness.ssh_process(SHOW):
            await harness.said.until("CONFIG_BACKEND_ERROR")
        await harness.all_gone()
        assert service.heard and "SSH_AUTH_SUCCESSFUL" not in harness.said


@run("connection-webhook-of-go", end="exit status 7", rows=("AU1102",), needs=())
async def webhook_of_go(setup: Setup) -> None:
    """What a program in Go writes for "not said" is passed over where the configuration says so."""
    zeros = {
        "ssh": {"listen": "", "hostkeys": None},
        "log": {"level": 5},
        "backend": "docker",
        "docker": {
            "connection": {"host": "", "cacert": ""},
            "execution": {
                "container": {"Image": LAB, "Env": ["LAB=3"], "Tty": False, "Cmd": None},
                "host": {"Memory": 0, "Init": None, "Binds": []},
                "mode": "",
                "disableAgent": False,
            },
        },
        "security": {"maxSessions": 0},
    }
    server = {"zero_values": "skip"}
    async with hooked(setup, says(zeros), server=server) as (harness, _), harness.client() as client:
        assert await client.run(SHOW) == OUT


def _has_lab(harness: Harness) -> None:
    assert harness.fake is not None
    harness.fake.images[LAB] = FakeImage(env={"LAB": "3"})


async def _is_refused(harness: Harness, username: str) -> bool:
    done = await harness.ssh(SHOW, "-l", username)
    return done.status == 255 and b"Permission denied" in done.err
