"""Who we are for a registry: the configuration, Docker's config file, its helpers."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from actors.engine.credentials import Credentials, from_config, from_settings, header, helper_of, host_of, registry_of
from protocol.settings import RegistryAuth

HUB = "https://index.docker.io/v1/"
SKIPPER = base64.b64encode(b"skipper:pass:word").decode()


@pytest.mark.parametrize(
    ("reference", "registry"),
    [
        ("busybox", "docker.io"),
        ("busybox:1.36", "docker.io"),
        ("library/busybox", "docker.io"),
        ("docker.io/library/busybox", "docker.io"),
        ("index.docker.io/a/b", "docker.io"),
        ("localhost/a", "localhost"),
        ("localhost:5000/a:1", "localhost:5000"),
        ("reg.example/a/b@sha256:00", "reg.example"),
        ("reg.example:443/a", "reg.example:443"),
    ],
)
def test_registry_of(reference: str, registry: str) -> None:
    assert registry_of(reference) == registry


@pytest.mark.parametrize(
    ("key", "host"),
    [
        (HUB, "docker.io"),
        ("docker.io", "docker.io"),
        ("reg.example:5000", "reg.example:5000"),
        ("https://reg.example/v2/", "reg.example"),
        ("reg.example/v1", "reg.example"),
    ],
)
def test_host_of(key: str, host: str) -> None:
    assert host_of(key) == host


def test_header_is_url_safe() -> None:
    text = header({"username": "skipper", "password": "a>>?b~~?ÿ"})
    assert not set("+/") & set(text)
    assert json.loads(base64.urlsafe_b64decode(text))["password"] == "a>>?b~~?ÿ"


def test_settings() -> None:
    assert from_settings(RegistryAuth(), "reg.example") == {}
    plain = RegistryAuth(username="u", password="p")
    assert from_settings(plain, "reg.example") == {"username": "u", "password": "p", "serveraddress": "reg.example"}
    assert from_settings(plain, "docker.io")["serveraddress"] == HUB
    coded = from_settings(RegistryAuth(auth=SKIPPER), "reg.example")
    assert (coded["username"], coded["password"]) == ("skipper", "pass:word")
    assert from_settings(RegistryAuth(identitytoken="t"), "reg.example")["identitytoken"] == "t"


def test_settings_are_not_shown_to_another_registry() -> None:
    auth = RegistryAuth(username="u", password="p", serveraddress="https://reg.example/v2/")
    assert from_settings(auth, "reg.example")["username"] == "u"
    assert from_settings(auth, "evil.example") == {}


def test_config_file() -> None:
    config: dict[str, Any] = {
        "auths": {
            HUB: {"auth": SKIPPER},
            "https://token.example": {"auth": base64.b64encode(b"u:").decode(), "identitytoken": "t"},
            "plain.example": {"username": "u", "password": "p"},
            "empty.example": {},
            "broken.example": {"auth": "%%%"},
            "odd.example": 5,
        }
    }
    assert from_config(config, "docker.io") == {"username": "skipper", "password": "pass:word", "serveraddress": HUB}
    assert from_config(config, "token.example")["identitytoken"] == "t"
    assert from_config(config, "plain.example")["password"] == "p"
    for nobody in ("empty.example", "broken.example", "odd.example", "other.example"):
        assert from_config(config, nobody) == {}
    assert from_config({"auths": None}, "docker.io") == from_config({}, "docker.io") == {}


def test_which_helper() -> None:
    config = {"credHelpers": {"reg.example": "own"}, "credsStore": "all"}
    assert helper_of(config, "reg.example") == "own"
    assert helper_of(config, "docker.io") == "all"
    assert helper_of({}, "docker.io") == helper_of({"credsStore": 5}, "docker.io") == ""


def helper(folder: Path, name: str, script: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DOCKER_CONFIG and PATH lead here; PATH goes on as before."""
    import os

    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


@pytest.mark.trio
async def test_helper_is_asked_for_the_server(home: Path) -> None:
    helper(home, "own", '[ "$1" = get ] || exit 9; read server; printf \'{"Username":"%s","Secret":"s"}\' "$server"')
    (home / "config.json").write_text(json.dumps({"credHelpers": {"reg.example": "own"}}))
    told: list[str] = []
    found = await Credentials().find("reg.example/a:1", told.append)
    assert found == {"username": "reg.example", "password": "s", "serveraddress": "reg.example"} and told == []


@pytest.mark.trio
async def test_helpers_token(home: Path) -> None:
    helper(home, "own", 'echo \'{"Username":"<token>","Secret":"s"}\'')
    (home / "config.json").write_text(json.dumps({"credsStore": "own"}))
    assert (await Credentials().find("busybox", print))["identitytoken"] == "s"


@pytest.mark.trio
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo credentials not found in native keychain; exit 1", ""),
        ("echo boom >&2; exit 3", "boom"),
        ("exit 3", "exit status 3"),
        ("echo no json", "Expecting value"),
        ("echo '{}'", "Username"),
    ],
)
async def test_broken_helper_is_told_and_survived(home: Path, script: str, says: str) -> None:
    helper(home, "own", script)
    (home / "config.json").write_text(json.dumps({"credsStore": "own", "auths": {HUB: {"auth": SKIPPER}}}))
    told: list[str] = []
    assert (await Credentials().find("busybox", told.append))["username"] == "skipper"
    assert says in "".join(told) and len(told) == bool(says)


@pytest.mark.trio
async def test_missing_helper_and_unreadable_config(home: Path) -> None:
    told: list[str] = []
    assert await Credentials().find("busybox", told.append) == {} and told == []
    (home / "config.json").write_text('{"credsStore": "absent-helper"}')
    assert await Credentials().find("busybox", told.append) == {}
    assert "docker-credential-absent-helper" in told.pop()
    (home / "config.json").write_text("{")
    assert await Credentials().find("busybox", told.append) == {}
    assert "config.json" in told.pop()
