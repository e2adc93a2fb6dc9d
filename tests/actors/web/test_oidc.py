"""The device flow against an identity provider made of a library of its own (Authlib)."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio_asyncio

from actors.ports import OutsideFault
from actors.web.oidc import Oidc, Person
from protocol.rules import groups_of
from protocol.settings import Auth
from protocol.settings_auth import OAuth2
from protocol.settings_auth import Oidc as Settings
from protocol.webhook import Value
from tests.oidc_provider import SECRET, Provider, open_provider

pytestmark = pytest.mark.trio
ANN = {"sub": "42", "preferred_username": "ann", "email": "ann@example.com", "groups": ["a"]}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    with open_provider(monkeypatch) as opened:
        yield opened


@asynccontextmanager
async def client(provider: Provider, secret: str = SECRET, **settings: Any) -> AsyncIterator[Oidc]:
    with trio.fail_after(30):
        async with trio_asyncio.open_loop():
            settings = {"url": provider.url, "username_field": "preferred_username", **settings}
            oidc = Oidc(OAuth2(client_id="moorage", client_secret=secret, oidc=Settings(**settings)))
            try:
                yield oidc
            finally:
                await oidc.close()


async def test_a_code_is_shown_waited_for_and_good_for_a_name(provider: Provider) -> None:
    async with client(provider) as oidc:
        device = await oidc.begin()
        assert device.user_code == provider.user_code()
        assert device.page.startswith(f"{provider.url}/page")
        assert await oidc.poll(device) is None
        provider.person = ANN
        person = await oidc.poll(device)
        assert person == Person(
            "ann",
            {
                "OIDC_USERINFO_SUB": Value("42"),
                "OIDC_USERINFO_PREFERRED_USERNAME": Value("ann"),
                "OIDC_USERINFO_EMAIL": Value("ann@example.com"),
                "OIDC_USERINFO_GROUPS": Value("a"),
            },
        )
        assert provider.paths.count("/realm/.well-known/openid-configuration") == 1


async def test_a_code_is_good_for_the_login_that_showed_it_and_no_other(provider: Provider) -> None:
    """What the `state` is for in the flow with a browser: nobody can be made to let another in."""
    async with client(provider) as oidc:
        hers, his = await oidc.begin(), await oidc.begin()
        provider.people[hers.user_code] = ANN
        assert await oidc.poll(his) is None
        person = await oidc.poll(hers)
        assert isinstance(person, Person) and person.username == "ann"
        assert await oidc.poll(his) is None


async def test_groups_are_told_as_rules_read_them(provider: Provider) -> None:
    provider.person = {**ANN, "groups": ["staff", "lab 3", 7, "", "lab-3"]}
    async with client(provider) as oidc:
        person = await oidc.poll(await oidc.begin())
        assert isinstance(person, Person)
        assert person.metadata["OIDC_USERINFO_GROUPS"] == Value("staff lab-3")
        assert groups_of(Auth(), "ann", person.metadata) == ("staff", "lab-3")


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_the_secret_goes_the_way_that_the_provider_names(provider: Provider, method: str) -> None:
    provider.methods, provider.person = [method], ANN
    async with client(provider) as oidc:
        assert isinstance(await oidc.poll(await oidc.begin()), Person)


async def test_a_wrong_secret_is_our_fault_and_nobodys_login(provider: Provider) -> None:
    async with client(provider, secret="wrong") as oidc:
        with pytest.raises(OutsideFault) as caught:
            await oidc.begin()
        assert caught.value.fault in ("denied", "invalid")


async def test_told_to_slow_down_it_does(provider: Provider) -> None:
    provider.slow = 2
    async with client(provider) as oidc:
        device = await oidc.begin()
        before = device.interval_s
        assert await oidc.poll(device) is None
        assert await oidc.poll(device) is None
        assert device.interval_s == before + 10.0


async def test_who_refuses_is_not_let_in(provider: Provider) -> None:
    provider.person = False
    async with client(provider) as oidc:
        assert await oidc.poll(await oidc.begin()) == "the person has refused"


async def test_a_code_that_is_too_old(provider: Provider) -> None:
    provider.expires_in, provider.person = -1, ANN
    async with client(provider) as oidc:
        assert await oidc.poll(await oidc.begin()) == "the code is too old"


async def test_a_claim_that_is_not_there(provider: Provider) -> None:
    provider.person = {"sub": "42"}
    async with client(provider) as oidc:
        why = "the provider's user info has no preferred_username"
        assert await oidc.poll(await oidc.begin()) == why


async def test_scopes_are_asked_for_and_may_be_insisted_on(provider: Provider) -> None:
    provider.person = ANN
    async with client(provider, extra_scopes=("profile",), enforce_scopes=True) as oidc:
        device = await oidc.begin()
        credential = provider.codes[device.code]
        assert credential["scope"] == "openid profile"
        assert isinstance(await oidc.poll(device), Person)
        credential["scope"] = "openid"
        assert await oidc.poll(device) == "the scope profile was not granted"


async def test_a_discovery_document_of_somebody_else(provider: Provider) -> None:
    provider.issuer = "http://127.0.0.1:1/realm"
    async with client(provider) as oidc:
        with pytest.raises(OutsideFault, match="of another issuer"):
            await oidc.begin()


async def test_a_provider_that_is_not_there(provider: Provider) -> None:
    async with client(provider, url=provider.url + "x") as oidc:
        with pytest.raises(OutsideFault) as caught:
            await oidc.begin()
        assert caught.value.fault == "not_found"
