"""Logins at an identity provider, as OpenSSH's client meets them."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from protocol.settings_auth import Auth, KeyboardInteractive, OAuth2, Oidc, User
from tests.actors.ssh.test_factors import NO_KEY
from tests.actors.ssh.ways import Ways, new_key, open_ways
from tests.oidc_provider import SECRET, open_provider

pytestmark = [
    pytest.mark.trio,
    pytest.mark.openssh,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's ssh is not installed"),
]


@asynccontextmanager
async def with_provider(
    home: Path, monkeypatch: pytest.MonkeyPatch, *methods: str, **oidc: Any
) -> AsyncIterator[tuple[Ways, Any]]:
    line = await new_key(home)
    with open_provider(monkeypatch) as provider:
        section = Oidc(url=provider.url, username_field="preferred_username", **oidc)
        oauth2 = OAuth2(client_id="moorage", client_secret=SECRET, oidc=section)
        auth = Auth(
            users={"ann": User(authorized_keys=(line,), methods=methods)} if methods else {},
            keyboard_interactive=KeyboardInteractive(method="oauth2", oauth2=oauth2),
        )
        async with open_ways(home, auth) as ways:
            yield ways, provider


ANN = {"sub": "42", "preferred_username": "ann"}
# OpenSSH's client wants somebody to ask before it takes part at all.
ASKED = {"SSH_ASKPASS": "/bin/true", "SSH_ASKPASS_REQUIRE": "force"}


async def test_a_page_is_shown_and_the_login_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_provider(tmp_path, monkeypatch) as (ways, provider), trio.open_nursery() as nursery:

        async def person() -> None:
            await ways.host.supervisor.has_said("AUTH_OAUTH2_AUTHORIZATION_PENDING")
            provider.person = ANN

        nursery.start_soon(person)
        outcome = await ways.log_in(*NO_KEY, user="whoever", env=ASKED, level="INFO")
        assert (outcome.login.username, outcome.login.method) == ("ann", "oidc")
        shown = outcome.stdout + outcome.stderr
        assert provider.user_code().encode() in shown and f"{provider.url}/page".encode() in shown
        assert {"MOORAGE_DEVICE_CODE", "AUTH_SUCCESSFUL"} <= ways.codes()


async def test_who_refuses_and_who_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = (*NO_KEY, "-o", "NumberOfPasswordPrompts=1")
    async with with_provider(tmp_path, monkeypatch, enforce_username=True) as (ways, provider):
        provider.person = False
        assert (await ways.log_in(*once, user="ann", env=ASKED)).whys[0] == "the person has refused"
        provider.person = ANN
        outcome = await ways.log_in(*once, user="bob", env=ASKED)
        assert outcome.whys[0] == "the provider knows the person by another name"
        assert (await ways.log_in(*once, user="ann", env=ASKED)).is_in


async def test_a_name_that_needs_one_factor_is_no_way_around_anothers_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = (*NO_KEY, "-o", "NumberOfPasswordPrompts=1")
    async with with_provider(tmp_path, monkeypatch, "publickey,oidc") as (ways, provider):
        provider.person = ANN  # whose own way in begins with a key
        assert not (await ways.log_in(*once, user="whoever", env=ASKED)).is_in
        assert "MOORAGE_AUTH_OTHER_NAME" in ways.codes()
        provider.person = {"preferred_username": "bob"}
        assert (await ways.log_in(*once, user="whoever", env=ASKED)).login.username == "bob"


async def test_nobody_uses_the_code_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with with_provider(tmp_path, monkeypatch, login_timeout=0.5) as (ways, _):
        outcome = await ways.log_in(*NO_KEY, "-o", "NumberOfPasswordPrompts=1", user="ann", env=ASKED)
        assert not outcome.is_in and outcome.whys[0] == "nobody has used the code in time"
        assert "AUTH_OAUTH2_TIMEOUT" in ways.codes()


async def test_a_key_and_then_the_page_of_the_same_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = ("-o", "NumberOfPasswordPrompts=1")
    async with with_provider(tmp_path, monkeypatch, "publickey,oidc") as (ways, provider):
        provider.person = {"preferred_username": "bob"}
        outcome = await ways.log_in(*once, user="ann", env=ASKED)
        assert not outcome.is_in and "MOORAGE_AUTH_OTHER_NAME" in ways.codes()
        provider.person = ANN
        assert (await ways.log_in(*once, user="ann", env=ASKED)).login.method == "publickey,oidc"
