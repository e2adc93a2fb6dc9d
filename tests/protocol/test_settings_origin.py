"""A file that ContainerSSH has run without an image runs with the same image here; a file of ours with ours."""

from typing import Any

import pytest

from protocol.settings_keys import KEYS
from protocol.settings_origin import IMAGE, OURS
from protocol.settings_read import Reading, read_settings
from protocol.settings_types import CONTAINERSSH_IMAGE, GUEST_IMAGE

THEIRS: dict[str, Any] = {
    "ssh": {"hostkeys": ["a"], "banner": "b"},
    "auth": {"password": {"method": "webhook", "webhook": {"url": "http://x"}}},
    "docker": {"execution": {"mode": "session", "container": {"env": ["A=b"]}}},
    "log": {"level": "debug"},
    "security": {"command": {"mode": "filter", "allow": ["a"]}},
}


def _image(reading: Reading) -> str:
    return str(reading.settings.docker.execution.container["Image"])


def test_a_file_of_containerssh_keeps_its_default_and_says_so() -> None:
    reading = read_settings(THEIRS)
    assert _image(reading) == CONTAINERSSH_IMAGE
    assert reading.settings.docker.execution.container["Env"] == ["A=b"]
    (warning,) = reading.warnings
    assert (warning.path, warning.advice) == (IMAGE, "write the name of an image")


def test_a_given_image_is_given() -> None:
    reading = read_settings({**THEIRS, "docker": {"execution": {"container": {"IMAGE": "x:1"}}}})
    assert (_image(reading), reading.warnings) == ("x:1", ())


VALUES: dict[str, Any] = {
    "ssh.loginGrace": "5s",
    "ssh.maxAuthTries": 3,
    "ssh.maxStartups": 3,
    "auth.users": {"a": {"passwordHash": "$2b$12$" + "a" * 53}},
    "docker.pool": {"size": 1},
    "docker.execution.hardening": "strict",
    "shutdown": {"grace": "1s"},
    "record": {"directory": "x"},
    "state": "x",
}


@pytest.mark.parametrize("path", VALUES)
def test_one_key_of_ours_makes_it_ours(path: str) -> None:
    assert path in OURS
    tree: Any = {**{name: dict(part) for name, part in THEIRS.items()}}
    place, keys = tree, path.split(".")
    for key in keys[:-1]:
        place = place.setdefault(key, {})
    place[keys[-1]] = VALUES[path]
    reading = read_settings(tree)
    assert (_image(reading), reading.warnings) == (GUEST_IMAGE, ())


def test_every_key_of_ours_is_a_key() -> None:
    assert set(OURS) <= set(KEYS)
