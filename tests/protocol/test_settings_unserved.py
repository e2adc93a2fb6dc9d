"""What Moorage does not do: refused where that would weaken the server or make it another one, else told."""

from typing import Any

import pytest

from protocol.settings_read import Plain, Problem, Reading, SettingsError, read_settings
from protocol.settings_unserved import unserved

USERS = {"users": {"a": {"authorizedKeys": ["a.pub"]}}}


def read(**tree: Any) -> Reading:
    return read_settings({"auth": USERS, **tree})


def refused(**tree: Any) -> Problem:
    with pytest.raises(SettingsError) as caught:
        read(**tree)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("auth.gssapi", {"method": "", "kerberos": {"keytab": "/etc/krb5.keytab"}}),
        ("auth.password.kerberos", {"keytab": "/etc/krb5.keytab"}),
        ("auth.keyboardInteractive.oauth2.github", {"url": "https://github.com"}),
        ("auth.authTimeout", "60s"),
    ],
)
def test_ways_in_that_ask_for_nothing_pass(path: str, value: object) -> None:
    assert unserved(path, value) == ""


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("auth.gssapi", {"method": "kerberos"}),
    ],
)
def test_ways_in_that_ask_for_something_are_refused_by_name(path: str, value: object) -> None:
    reason = unserved(path, value)
    assert reason is not None
    assert reason.endswith("not served yet")


@pytest.mark.parametrize("provider", ["github", "generic"])
def test_a_promise_of_a_provider_that_is_not_served_is_refused(provider: str) -> None:
    """Nobody who counts on a membership that is never looked at, or on a flow whose state is not compared, starts."""
    oauth2 = {"provider": provider, "clientId": "x", "clientSecret": "y", "github": {"requireOrgMembership": "acme"}}
    auth = {"keyboardInteractive": {"method": "oauth2", "oauth2": oauth2}}
    with pytest.raises(SettingsError) as caught:
        read_settings({"auth": auth})
    told = {problem.path: problem.sentence for problem in caught.value.problems}
    assert told["auth.keyboardInteractive.oauth2.provider"] == f"invalid choice: {provider}; allowed: oidc"


@pytest.mark.parametrize(
    "tree",
    [
        {"security": None},
        {"security": {"maxSessions": Plain("-1"), "command": {"mode": "", "allow": []}, "forwarding": None}},
        {"metrics": {"enable": False, "listen": "0.0.0.0:9100"}},
        {"health": {"enable": Plain("false")}},
        {"audit": {}},
        {"audit": {"enable": False, "format": "binary", "storage": "s3"}},
        {"configserver": {"timeout": "2s", "url": ""}},
        {"geoip": {"provider": "dummy", "maxmind-geoip2-file": "/var/lib/x"}},
        {"geoip": None},
        {"kubernetes": {"pod": {"metadata": {}}, "connection": {"host": ""}}},
        {"kuberun": {"pod": {"podSpec": None}}, "sshproxy": {"server": ""}},
    ],
    ids=str,
)
def test_what_asks_for_nothing_passes_without_a_word(tree: dict[str, Any]) -> None:
    assert read(**tree).warnings == ()


@pytest.mark.parametrize(
    ("tree", "path", "words"),
    [
        ({"metrics": {"enable": True}}, "metrics.enable", "not served yet"),
        ({"health": {"enable": True}}, "health.enable", "not served yet"),
        ({"geoip": {"provider": "maxmind"}}, "geoip.provider", "not served"),
        ({"audit": {"enable": True}}, "audit.enable", "nothing is written"),
        ({"audit": {"enable": True, "format": "binary"}}, "audit.enable", "nothing is written"),
        ({"kubernetes": {"connection": {"host": "x"}}}, "kubernetes", "Kubernetes backend is not served"),
        ({"kuberun": {"timeout": "60s"}}, "kuberun", "before ContainerSSH 0.4 is not served"),
        ({"sshproxy": {"server": "x"}, "backend": "docker"}, "sshproxy", "SSH proxy backend is not served"),
        ({"security": {"forwarding": {"forwardingMode": "enable"}}}, "security.forwarding.forwardingMode", "refused"),
    ],
)
def test_what_weakens_nothing_is_told(tree: dict[str, Any], path: str, words: str) -> None:
    (warning,) = read(**tree).warnings
    assert warning.path == path
    assert words in warning.found


@pytest.mark.parametrize(
    ("tree", "path", "words"),
    [
        ({"audit": {"enable": True, "format": "asciinema", "storage": "file"}}, "audit.enable", "not served yet"),
        ({"backend": "kubernetes"}, "backend", "invalid backend: kubernetes (the Kubernetes backend is not served)"),
        ({"backend": "kuberun"}, "backend", "invalid backend: kuberun"),
        ({"backend": "sshproxy"}, "backend", "the SSH proxy backend is not served"),
        ({"backend": "dokcer"}, "backend", "invalid backend: dokcer"),
    ],
)
def test_what_would_be_weaker_or_another_server_is_refused(tree: dict[str, Any], path: str, words: str) -> None:
    problem = refused(**tree)
    assert problem.path == path
    assert words in problem.found


def test_audit_logs_in_s3_are_named() -> None:
    s3 = {"accessKey": "a", "secretKey": "b", "bucket": "c"}
    assert "in S3" in refused(audit={"enable": True, "format": "binary", "storage": "s3", "s3": s3}).found


def test_other_keys_are_none_of_these() -> None:
    assert unserved("securty", {}) is None
    assert refused(securty={}).advice == "did you mean security?"
