"""What a reload tells: each change by its key, no secret, and what waits for a restart, which stays as it was."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from protocol.settings import Settings
from protocol.settings_diff import RESTART, changes, with_kept
from protocol.settings_keys import KEYS
from protocol.settings_read import read_settings

HASH, OTHER = "$2b$12$" + "a" * 53, "$2b$12$" + "b" * 53
BASE: dict[str, Any] = {"auth": {"users": {"ann": {"passwordHash": HASH}}}}


def _read(**sections: Any) -> Settings:
    return read_settings({**BASE, **sections}).settings


def told(old: Settings, new: Settings) -> list[str]:
    return [str(change) for change in changes(old, new)]


def test_nothing_has_changed() -> None:
    assert told(_read(), _read()) == []


def test_added_removed_changed() -> None:
    old = _read(docker={"execution": {"container": {"Image": "a:1", "User": "1"}, "host": {"Memory": 5}}})
    new = _read(docker={"execution": {"container": {"Image": "b:1", "WorkingDir": "/x"}, "host": {"Memory": 5}}})
    assert told(old, new) == [
        'docker.execution.container.Image: "a:1" -> "b:1"',
        "docker.execution.container.User: removed",
        'docker.execution.container.WorkingDir: added: "/x"',
    ]


def test_secrets_are_not_shown_and_their_change_is() -> None:
    old = _read(docker={"execution": {"auth": {"password": "sesame"}, "container": {"Env": ["A=sesame", "B=1"]}}})
    new = _read(
        auth={"users": {"ann": {"passwordHash": OTHER}, "bob": {"passwordHash": HASH}}},
        docker={"execution": {"auth": {"password": "open"}, "container": {"Env": ["A=open"]}}},
    )
    assert told(old, new) == [
        'docker.execution.container.Env: ["A=***","B=***"] -> ["A=***"]',
        "docker.execution.auth.password: changed (its value is not shown)",
        "auth.users.ann.passwordHash: changed (its value is not shown)",
        "auth.users.bob: added: ***",
    ]
    assert not any(secret in line for line in told(old, new) for secret in ("sesame", 'open"', HASH, OTHER))


def test_a_long_value_is_cut_and_a_line_is_one_line() -> None:
    (line,) = told(_read(), _read(ssh={"banner": "x\n" * 500}))
    assert len(line) < 300 and line.endswith("…") and "\n" not in line


def test_old_keys_are_told_by_todays() -> None:
    image = {"container": {"Image": "x:1"}}
    old, new = (_read(dockerrun={"config": {**image, "timeout": text}}) for text in ("60s", "7s"))
    assert all(line.startswith("docker.timeouts.") for line in told(old, new))
    assert told(_read(), _read(listen="127.0.0.1:1")) == [
        'ssh.listen: "0.0.0.0:2222" -> "127.0.0.1:1" (needs a restart)'
    ]


def test_what_needs_a_restart_stays_and_the_rest_does_not() -> None:
    old = _read()
    new = _read(
        ssh={"listen": ":1", "banner": "b"}, state="elsewhere", docker={"timeouts": {"http": "3s", "signal": "3s"}}
    )
    kept = with_kept(old, new)
    assert (kept.ssh.listen, kept.state, kept.docker.timeouts.http) == (old.ssh.listen, old.state, 15.0)
    assert (kept.ssh.banner, kept.docker.timeouts.signal) == ("b", 3.0)
    marked = [change.path for change in changes(old, new) if change.restart]
    assert marked == ["ssh.listen", "docker.timeouts.http", "state"]
    # The next reload tells of them again.
    assert [change.path for change in changes(kept, new)] == marked


@pytest.mark.parametrize("path", RESTART)
def test_each_of_those_keys_is_one(path: str) -> None:
    assert path in KEYS
    value: Any = msgspec.to_builtins(with_kept(_read(), replace(_read(), backend="docker")))
    for key in path.split("."):
        value = value[key]
