"""Rules of `security` and of the sections beside the SSH server: each refusal and each remark once."""

from typing import Any

import pytest

from protocol.settings_read import Plain, SettingsError, read_settings

WAY_IN = {"users": {"a": {"authorizedKeys": ["a.pub"]}}}


def refused(**tree: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        read_settings({"auth": WAY_IN, **tree})
    found: dict[str, str] = {}
    for problem in caught.value.problems:
        found[problem.path] = f"{found.get(problem.path, '')} {problem.sentence}"
    return found


def remarks(**tree: Any) -> dict[str, str]:
    return {warning.path: warning.sentence for warning in read_settings({"auth": WAY_IN, **tree}).warnings}


@pytest.mark.parametrize(
    ("security", "path", "words"),
    [
        ({"maxSessions": -2}, "security.maxSessions", "invalid maxSessions setting: -2"),
        ({"maxSessions": Plain("-7")}, "security.maxSessions", "invalid maxSessions setting: -7"),
        ({"forceCommand": "a\0b"}, "security.forceCommand", "NUL"),
        ({"signal": {"allow": ["TERM", "SIGTERM"]}}, "security.signal.allow[1]", "did you mean TERM?"),
        ({"signal": {"deny": ["kill"]}}, "security.signal.deny[0]", "did you mean KILL?"),
        ({"signal": {"deny": ["xyzzy"]}}, "security.signal.deny[0]", "no signal: 'xyzzy'"),
        ({"env": {"allow": ["A", ""]}}, "security.env.allow[1]", "no name"),
        ({"env": {"deny": ["A=b"]}}, "security.env.deny[0]", "no name: 'A=b'"),
        ({"command": {"allowPrefixes": [" "]}}, "security.command.allowPrefixes[0]", "the beginning of a command"),
        ({"command": {"denyPrefixes": [""]}}, "security.command.denyPrefixes[0]", "empty text"),
        ({"command": {"allowPatterns": ["x", ""]}}, "security.command.allowPatterns[1]", "a pattern"),
        ({"command": {"denyPatterns": ["x" * 1025]}}, "security.command.denyPatterns[0]", "1024 at most"),
    ],
    ids=str,
)
def test_what_is_refused_in_security(security: dict[str, Any], path: str, words: str) -> None:
    ((where, sentence),) = refused(security=security).items()
    assert where == path
    assert words in sentence


@pytest.mark.parametrize("number", [-1, 1, 10, 10**6])
def test_sessions_that_are_taken_without_a_word(number: int) -> None:
    assert remarks(security={"maxSessions": number}) == {}


def test_no_session_at_all_deserves_a_word() -> None:
    assert "write -1 for no limit" in remarks(security={"maxSessions": 0})["security.maxSessions"]


@pytest.mark.parametrize(
    "key",
    ["forwardingMode", "reverseForwardingMode", "socketForwardingMode", "socketListenMode", "x11ForwardingMode"],
)
def test_forwarding_that_is_enabled_is_told_to_be_missing(key: str) -> None:
    assert "not served yet" in remarks(security={"forwarding": {key: "enable"}})[f"security.forwarding.{key}"]
    assert remarks(security={"forwarding": {key: "filter"}}) == {}


@pytest.mark.parametrize("key", ["env", "subsystem", "signal"])
def test_a_list_that_is_not_used_is_told(key: str) -> None:
    names = {"allow": ["TERM"]}
    assert remarks(security={key: names}) == {f"security.{key}.allow": "not used in mode enable; mode: filter"}
    assert remarks(security={key: {**names, "mode": "disable"}}).keys() == {f"security.{key}.allow"}
    assert remarks(security={key: {**names, "mode": "filter"}}) == {}
    assert remarks(security={key: names, "defaultMode": "filter"}) == {}
    assert remarks(security={key: {"deny": ["TERM"]}}) == {}


@pytest.mark.parametrize("key", ["allow", "allowPrefixes", "allowPatterns"])
def test_a_list_of_commands_that_is_not_used_is_told(key: str) -> None:
    assert "mode enable" in remarks(security={"command": {key: ["x"]}})["security.command"]
    assert remarks(security={"command": {key: ["x"], "mode": "filter"}}) == {}


@pytest.mark.parametrize(
    ("tree", "path", "words"),
    [
        ({"configserver": {"cert": "x"}}, "configserver", "key not given"),
        ({"configserver": {"bearerToken": "ü"}}, "configserver.bearerToken", "not ASCII"),
        ({"configserver": {"url": "localhost"}}, "configserver.url", "no URL"),
        ({"health": {"client": {"url": "x"}}}, "health.client.url", "no URL"),
        ({"health": {"client": {"key": "x"}}}, "health.client", "cert not given"),
        ({"health": {"listen": "7000"}}, "health.listen", "no address"),
        ({"metrics": {"listen": "::1:70"}}, "metrics.listen", "no address"),
        ({"metrics": {"listen": "h:70000"}}, "metrics.listen", "no address"),
        ({"metrics": {"key": "x"}}, "metrics", "cert not given"),
        ({"metrics": {"cert": "x"}}, "metrics", "key not given"),
        ({"metrics": {"enable": True, "path": "x"}}, "metrics.path", "no path"),
        ({"audit": {"enable": True, "storage": "file", "file": {"directory": ""}}}, "audit.file.directory", "empty"),
        ({"audit": {"format": "binray"}}, "audit.format", "invalid audit log format: binray"),
        ({"audit": {"storage": "tape"}}, "audit.storage", "invalid audit log storage: tape"),
        ({"audit": {"s3": {"uploadPartSize": 5}}}, "audit.s3.uploadPartSize", "at least 5242880"),
        ({"audit": {"s3": {"parallelUploads": 0}}}, "audit.s3.parallelUploads", "at least 1"),
    ],
    ids=str,
)
def test_what_is_refused_beside(tree: dict[str, Any], path: str, words: str) -> None:
    assert words in refused(**tree)[path]


def test_an_object_storage_without_its_login() -> None:
    found = refused(audit={"enable": True, "storage": "s3"})
    assert found.keys() == {"audit.s3.accessKey", "audit.s3.secretKey", "audit.s3.bucket"}


def test_addresses_that_are_taken() -> None:
    for listen in (":1", "[::1]:1", "localhost:65535", "0.0.0.0:0"):
        assert remarks(metrics={"listen": listen}) == {}


@pytest.mark.parametrize("who", ["user", "address"])
def test_a_login_rate_without_a_period(who: str) -> None:
    found = refused(limits={who: {"loginRate": {"logins": 3, "period": 0}}})
    assert list(found) == [f"limits.{who}.loginRate.period"]


def test_idle_time_that_is_never_reached() -> None:
    assert list(remarks(limits={"idle": "2h", "total": "1h"})) == ["limits.idle"]
    assert not remarks(limits={"idle": "1h", "total": "2h"})
