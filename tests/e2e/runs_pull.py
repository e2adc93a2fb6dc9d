"""The image pull policy: the real engine, a real registry on loopback, and a proxy that counts what is asked of it."""

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from actors.image import ImageActor
from protocol.settings import RegistryAuth
from tests.e2e import outside
from tests.e2e.harness import FAKE_IMAGE, Done, Harness
from tests.e2e.proxy import Proxy, open_proxy
from tests.e2e.runs import REGISTRY, Setup, run
from tests.e2e.sentence import told
from tests.registry import Registry, free_port

PULLS = ("engine", "registry", "openssh")
LAYER_BYTES = 6_000_000
HELD_BYTES = 2_600_000  # an engine may tell of a download by the MiB
FAILED = "DOCKER_IMAGE_PULL_FAILED"


class Offer:
    """An image in the registry, by the name that leads through the proxy."""

    def __init__(self, proxy: Proxy, name: str, tag: str) -> None:
        self.proxy, self.reference, self._tag = proxy, f"{proxy.host}/{name}:{tag}", tag

    @property
    def pulls(self) -> int:
        """How often an engine has asked what the tag is now."""
        return self.proxy.count(f"/manifests/{self._tag}$")


@asynccontextmanager
async def offer(setup: Setup, name: str, tag: str = "1", held: bool = False) -> AsyncIterator[Offer]:
    """`held`: the download stops in the middle until `proxy.open()`. At the end the engine forgets the image."""
    setup.registry.push(name, tag, LAYER_BYTES if held else 100)
    async with open_proxy(setup.registry.host, HELD_BYTES if held else None) as proxy:
        setup.called[proxy.host] = REGISTRY
        offered = Offer(proxy, name, tag)
        try:
            yield offered
        finally:
            outside.forget_image(offered.reference)


async def waiters(harness: Harness, count: int) -> None:
    """Return when so many logins wait for an image."""
    while True:
        images = [actor for actor in harness.server.supervisor.world.actors.values() if isinstance(actor, ImageActor)]
        if images and len(images[0].cell.waiters) == count:
            return
        await harness.said.next()


async def lands(harness: Harness) -> None:
    """A login gets its container, and nothing is said to the user about how."""
    assert await harness.ssh("echo landed") == Done(0, b"landed\n", b"")


@run("pull-always", end="exit status 0", rows=("IM0101", "IM0401", "CT1701", "CT0701"), needs=PULLS)
async def pull_always(setup: Setup) -> None:
    """Always: the registry is asked at every login, whether or not the image is here."""
    async with (
        offer(setup, "tools/always") as image,
        setup.harness(image_pull_policy="Always", image=image.reference) as harness,
    ):
        await lands(harness)
        assert image.pulls == 1
        await lands(harness)
        assert image.pulls == 2
        await harness.all_gone()
        outside.forget_image(image.reference)
        await lands(harness)
        assert image.pulls == 3 and outside.has_image(image.reference)


@run("pull-if-not-present-absent", end="exit status 0", rows=("IM0103", "IM0203", "IM0401", "CT0701"), needs=PULLS)
async def pull_absent(setup: Setup) -> None:
    """IfNotPresent, and the image is not here: it is pulled."""
    async with offer(setup, "tools/absent") as image:
        async with setup.harness(image=image.reference) as harness:
            await lands(harness)
        assert image.pulls == 1


@run("pull-if-not-present-present", end="exit status 0", rows=("IM0103", "IM0201", "CT0701"), needs=PULLS)
async def pull_present(setup: Setup) -> None:
    """IfNotPresent, and the image is here: the registry is not asked."""
    async with offer(setup, "tools/present") as image:
        await trio.to_thread.run_sync(outside.pull_image, image.reference)  # the proxy needs the loop
        before = len(image.proxy.asked)
        async with setup.harness(image=image.reference) as harness:
            await lands(harness)
        assert len(image.proxy.asked) == before


@run("pull-remembered", end="exit status 0", rows=("CT0207", "CT0302", "CT0701"), needs=("engine", "openssh"), kept=1)
async def pull_remembered(setup: Setup) -> None:
    """The engine had the image at the login before: it is not asked again, the create would tell."""
    async with setup.harness() as harness:
        await lands(harness)
        looks = harness.said.count("DOCKER_IMAGE_LISTING")
        await lands(harness)
        assert looks == harness.said.count("DOCKER_IMAGE_LISTING") == 1


@run("pull-removed", end="exit status 0", rows=("CT0207", "CT0310", "IM0203", "CT1701", "CT0701"), needs=PULLS, kept=1)
async def pull_removed(setup: Setup) -> None:
    """Somebody removes the image between two logins: the create says so, and it is pulled again."""
    async with offer(setup, "tools/removed") as image, setup.harness(image=image.reference) as harness:
        await lands(harness)
        await harness.all_gone()
        outside.forget_image(image.reference)
        await lands(harness)
        assert image.pulls == 2 and outside.has_image(image.reference)


@run("pull-never-removed", end="exit status 125", rows=("CT0207", "CT0310", "IM0202", "CT0202"), needs=(), kept=1)
async def pull_never_removed(setup: Setup) -> None:
    """Somebody removes the image, and the policy is Never: one sentence at each login until it is back."""
    async with setup.fake_harness(image_pull_policy="Never") as harness, harness.client() as client:
        assert (await client.run("exit 7")).status == 7
        assert harness.fake is not None
        image = harness.fake.images.pop(FAKE_IMAGE)
        for _ in range(2):
            async with harness.client() as late:
                told(await late.run("true"), "MOORAGE_IMAGE_ABSENT", FAKE_IMAGE, "imagePullPolicy is Never")
        harness.fake.images[FAKE_IMAGE] = image
        async with harness.client() as again:
            assert (await again.run("exit 7")).status == 7


@run("create-lacks-something", end="exit status 125", rows=("CT0207", "CT0310", "IM0201", "CT0303"), needs=(), kept=1)
async def create_lacks_something(setup: Setup) -> None:
    """At the create the engine misses something that is not the image: believed when it says so again."""
    points = "create_container: 1*off -> 2*fail(not_found) -> off"
    async with setup.fake_harness(points) as harness, harness.client() as client:
        assert (await client.run("exit 7")).status == 7
        async with harness.client() as late:
            told(await late.run("true"), "DOCKER_CONTAINER_CREATE_FAILED", "failpoint in create_container")


@run("pull-if-not-present-latest", end="exit status 0", rows=("IM0102", "IM0401", "CT0701"), needs=PULLS, kept=1)
async def pull_latest(setup: Setup) -> None:
    """IfNotPresent with the tag `latest`, which moves: pulled although it is here."""
    async with offer(setup, "tools/moving", "latest") as image:
        async with setup.harness(image=image.reference) as harness:
            await lands(harness)
            await lands(harness)
        assert image.pulls == 2


@run("pull-if-not-present-no-tag", end="exit status 0", rows=("IM0102", "IM0401", "CT0701"), needs=PULLS, kept=1)
async def pull_no_tag(setup: Setup) -> None:
    """IfNotPresent without a tag, which means `latest`: pulled although it is here."""
    async with offer(setup, "tools/untagged", "latest") as image:
        async with setup.harness(image=image.reference.removesuffix(":latest")) as harness:
            await lands(harness)
            await lands(harness)
        assert image.pulls == 2


@run("pull-never-present", end="exit status 0", rows=("IM0103", "IM0201", "CT0701"), needs=("engine", "openssh"))
async def pull_never_present(setup: Setup) -> None:
    """Never, and the image is here: the login lands."""
    async with setup.harness(image_pull_policy="Never") as harness:
        await lands(harness)


async def _never_absent(setup: Setup, mode: str) -> None:
    async with offer(setup, f"tools/never-{mode}") as image:
        async with setup.harness(image_pull_policy="Never", image=image.reference, mode=mode) as harness:
            done = await harness.ssh("true")
            told(done, "MOORAGE_IMAGE_ABSENT", image.reference, "is not on this host", "imagePullPolicy is Never")
        assert not image.proxy.asked


@run("pull-never-absent", end="exit status 125", rows=("IM0202", "CT0202", "CN0303", "SS0115|SS0204"), needs=PULLS)
async def pull_never_absent(setup: Setup) -> None:
    """Never, and the image is not here: one sentence, and the registry is not asked."""
    await _never_absent(setup, "connection")


@run("session-pull-never-absent", end="exit status 125", rows=("IM0202", "CT0202", "SS0204"), needs=PULLS)
async def session_never_absent(setup: Setup) -> None:
    """Never, and the image of the session's own container is not here: one sentence, and the registry is not asked."""
    await _never_absent(setup, "session")


@run("pull-unknown-image", end="exit status 125", rows=("IM0203", "IM0404", "CT1702"), needs=PULLS)
async def pull_unknown(setup: Setup) -> None:
    """An image that the registry does not have: permanent, so it fails at once."""
    reference = f"{setup.registry.host}/tools/unknown:1"
    async with setup.harness(image=reference) as harness:
        told(await harness.ssh("true"), FAILED, reference, "not found")
        assert harness.said.count("DOCKER_IMAGE_PULL") == 1


@run("pull-registry-down", end="exit status 125", rows=("IM0403", "IM0501", "IM0404", "CT1702"), needs=PULLS)
async def pull_registry_down(setup: Setup) -> None:
    """Nobody listens where the registry should be: three tries, then one sentence."""
    host = f"127.0.0.1:{free_port()}"
    setup.called[host] = REGISTRY
    async with setup.harness(image=f"{host}/tools/nowhere:1") as harness:
        told(await harness.ssh("true"), FAILED, host, "connection refused")
        assert harness.said.count("DOCKER_IMAGE_PULL") == 3


@run("pull-login-missing", end="exit status 125", rows=("IM0404", "CT1702"), needs=PULLS)
async def pull_login_missing(setup: Setup) -> None:
    """A registry that wants a login, and none is configured."""
    reference = setup.registry_with_login.push("tools/private")
    async with setup.harness(image=reference) as harness:
        told(await harness.ssh("true"), FAILED, reference, "no basic auth credentials")


@run("pull-login-refused", end="exit status 125", rows=("IM0404", "CT1702"), needs=PULLS)
async def pull_login_refused(setup: Setup) -> None:
    """A registry that does not take the password of `execution.auth`; the sentence does not repeat it."""
    reference = setup.registry_with_login.push("tools/private")
    auth = RegistryAuth(username="skipper", password="tell-nobody")
    async with setup.harness(image=reference, auth=auth) as harness:
        line = told(await harness.ssh("true"), FAILED, reference, "nauthorized")
    assert "tell-nobody" not in line


async def _private(setup: Setup, registry: Registry, auth: RegistryAuth) -> None:
    reference = registry.push("tools/private")
    try:
        async with setup.harness(image=reference, auth=auth, image_pull_policy="Always") as harness:
            await lands(harness)
    finally:
        outside.forget_image(reference)


@run("pull-login-configured", end="exit status 0", rows=("IM0101", "IM0401", "CT0701"), needs=PULLS)
async def pull_login_configured(setup: Setup) -> None:
    """A registry that wants a login, which `execution.auth` has."""
    await _private(setup, setup.registry_with_login, RegistryAuth(**setup.registry_with_login.auth))


@run("pull-login-docker-config", end="exit status 0", rows=("IM0101", "IM0401", "CT0701"), needs=PULLS)
async def pull_login_docker_config(setup: Setup) -> None:
    """A registry that wants a login, which the Docker config file has."""
    registry = setup.registry_with_login
    word = base64.b64encode(":".join(registry.login or ()).encode()).decode()
    (setup.folder / "docker").mkdir()
    (setup.folder / "docker/config.json").write_text(json.dumps({"auths": {registry.host: {"auth": word}}}))
    await _private(setup, registry, RegistryAuth())


@run("pull-broken-stream", end="exit status 125", rows=("IM0402", "IM0404", "CT1702"), needs=PULLS)
async def pull_broken(setup: Setup) -> None:
    """The engine answers 200 and fails in the middle of the pull: a layer is missing in the registry."""
    reference = setup.registry.push_broken("tools/broken")
    async with setup.harness(image=reference) as harness:
        told(await harness.ssh("true"), FAILED, reference)
    assert not outside.has_image(reference)


@run("pull-other-platform", end="exit status 125", rows=("CT1702|CT0303",), needs=PULLS)
async def pull_platform(setup: Setup) -> None:
    """A platform that the image does not have."""
    platform = {"os": "linux", "architecture": "s390x"}
    async with (
        offer(setup, "tools/platform") as image,
        setup.harness(image=image.reference, platform=platform) as harness,
    ):
        done = await harness.ssh("true")
        code = FAILED if FAILED in harness.said else "DOCKER_CONTAINER_CREATE_FAILED"  # engines differ in when
        told(done, code, "platform", "s390x")


@run("pull-one-for-many-logins", end="exit status 0", rows=("IM0405|IM0206", "IM0401", "CT0701"), needs=PULLS)
async def pull_once(setup: Setup) -> None:
    """Eight logins wait for one image: one pull, and all of them land."""
    async with offer(setup, "tools/shared", held=True) as image:
        async with setup.harness(image=image.reference) as harness:
            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(lands, harness)
                await waiters(harness, 8)
                image.proxy.open()
            assert harness.said.count("DOCKER_IMAGE_PULL") == 1
        assert image.pulls == 1


@run(
    "pull-progress",
    end="exit status 3",
    rows=("IM0402", "CT1703", "CN0304", "SS0206", "SS0901"),
    needs=PULLS,
)
async def pull_progress(setup: Setup) -> None:
    """A user at a terminal waits for the pull and sees how far it is, in sizes."""
    async with (
        offer(setup, "tools/progress", held=True) as image,
        setup.harness(image=image.reference) as harness,
        harness.terminal("echo landed; exit 3", 100, 30) as terminal,
    ):
        await terminal.until(b" MB\r\n")
        image.proxy.open()
        assert await terminal.end() == 3
    *lines, last, rest = terminal.shown.decode().split("\r\n")
    assert (last, rest) == ("landed", ""), terminal.shown
    downloading = re.compile(rf"moorage: {re.escape(image.reference)}: downloading \d layers?, [0-9.]+ of [0-9.]+ MB")
    assert any(downloading.fullmatch(line) for line in lines), lines
    assert all(line.startswith(f"moorage: {image.reference}: ") for line in lines), lines
    assert "pulled 2 layers" in lines[-1] or "pulled 1 layer" in lines[-1], lines


@run(
    "pull-outlives-one-login",
    end="exit status 0",
    rows=("IM0405", "IM0407", "IM0401", "CT0701"),
    needs=PULLS,
    kept=1,
)
async def pull_outlives(setup: Setup) -> None:
    """Two wait for one pull; the budget of the first ends, the pull goes on, and the second lands."""
    async with offer(setup, "tools/outlives", held=True) as image:
        async with (
            setup.harness(image=image.reference, container_start=4.0) as harness,
            harness.ssh_process("true") as first,
        ):
            await waiters(harness, 1)
            await trio.sleep(2.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lands, harness)
                await waiters(harness, 2)
                await waiters(harness, 1)
                image.proxy.open()
                assert first.stderr is not None
                err = b"".join([piece async for piece in first.stderr])
            told(Done(await first.wait(), b"", err), FAILED, "longer than docker.timeouts.containerStart (4 s)")
        assert image.pulls == 1


@run("pull-abandoned", end="client gone", rows=("IM0406", "CT1705", "CN0308"), needs=PULLS)
async def pull_abandoned(setup: Setup) -> None:
    """The only one who waits for the pull goes: the pull is let go, the engine ends it, the next login pulls anew."""
    async with offer(setup, "tools/abandoned", held=True) as image:
        async with setup.harness(image=image.reference) as harness:
            async with harness.ssh_process("true"):
                await image.proxy.until_held()
            await harness.all_gone()
            assert "MOORAGE_IMAGE_PULL_ABANDONED" in harness.said
            image.proxy.open()  # an engine may look only when something comes
            await image.proxy.until_idle()
            assert not outside.has_image(image.reference)
            await lands(harness)
        assert image.pulls == 2
