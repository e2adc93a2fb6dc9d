"""Sections that are not served yet: refused by name, let pass when they ask for nothing."""

import pytest

from protocol.settings_read import Plain, SettingsError, read_settings
from protocol.settings_unserved import unserved

USERS = {"users": {"a": {"authorizedKeys": ["a.pub"]}}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("security", None),
        ("security", {"maxSessions": -1, "defaultMode": "", "forwarding": {"forwardingMode": "disable"}}),
        ("security", {"maxSessions": Plain("-1"), "command": {"mode": "", "allow": []}, "forwarding": None}),
        ("metrics", {"enable": False, "listen": "0.0.0.0:9100"}),
        ("metrics", {"listen": "0.0.0.0:9100"}),
        ("health", {"enable": Plain("false")}),
        ("audit", {}),
        ("configserver", {"timeout": "2s", "url": ""}),
        ("geoip", {"provider": "dummy", "maxmind-geoip2-file": "/var/lib/x"}),
        ("geoip", None),
        ("kubernetes", {"pod": {"metadata": {}}, "connection": {"host": ""}}),
        ("auth.password", {"method": "", "webhook": {"timeout": "2s"}}),
        ("auth.password", False),
        ("auth.pubkey", False),
        ("auth.url", ""),
    ],
)
def test_what_asks_for_nothing_passes(path: str, value: object) -> None:
    assert unserved(path, value) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("security", {"forceCommand": "/bin/true"}),
        ("security", {"maxSessions": 3}),
        ("security", {"forwarding": {"forwardingMode": "enable"}}),
        ("security", {"forwarding": "enable"}),
        ("security", "x"),
        ("metrics", {"enable": True}),
        ("metrics", True),
        ("configserver", {"url": "http://localhost"}),
        ("geoip", {"provider": "maxmind"}),
        ("geoip", "maxmind"),
        ("kubernetes", {"connection": {"host": "x"}}),
        ("dockerrun", {"host": "x"}),
        ("auth.password", {"method": "webhook"}),
        ("auth.password", True),
        ("auth.publicKey", {"method": "webhook"}),
        ("auth.url", "http://localhost"),
    ],
)
def test_what_asks_for_something_is_refused_by_name(path: str, value: object) -> None:
    reason = unserved(path, value)
    assert reason is not None
    assert reason.endswith("not served yet")


def test_other_keys_are_none_of_these() -> None:
    assert unserved("securty", {}) is None
    assert unserved("ssh.security", {}) is None


def test_in_a_file() -> None:
    read_settings({"auth": {**USERS, "password": {"method": ""}}, "audit": {"enable": False}})
    with pytest.raises(SettingsError) as caught:
        read_settings({"auth": {**USERS, "authz": {"method": "webhook"}}, "audit": {"enable": True}})
    assert [problem.path for problem in caught.value.problems] == ["auth.authz", "audit"]
