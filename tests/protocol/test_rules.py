"""Which rules a login meets, and which settings come of it."""

import pytest

from protocol.rules import Chosen, Login, choose, groups_of, layers, missed_by, split_name
from protocol.settings import Docker, Execution, Rule, Settings, User
from protocol.settings_auth import Auth
from protocol.webhook import Value

KEY = "SHA256:" + "a" * 43
ALICE = Login(username="alice", groups=("staff", "lab-3"), key=KEY, host="192.0.2.7")


def image(name: str) -> dict[str, object]:
    return {"docker": {"execution": {"container": {"Image": name}}}}


def image_of(chosen: Chosen) -> object:
    return chosen.settings.docker.execution.container["Image"]


BASE = Settings(
    docker=Docker(execution=Execution(container={"Image": "base:1", "User": "1000"}, mode="session")),
    rules=(
        Rule(name="staff", groups=("staff",), settings=image("staff:1"), templates=("gpu", "empty")),
        Rule(name="bob", users=("bob",), settings=image("bob:1")),
        Rule(name="lab", addresses=("192.0.2.0/24",), settings={"security": {"maxSessions": 0}}),
    ),
    templates={"gpu": image("gpu:1"), "empty": {}, "secret": image("secret:1")},
)


@pytest.mark.parametrize(
    ("rule", "missed"),
    [
        (Rule(), ""),
        (Rule(users=("bob", "al*")), ""),
        (Rule(users=("AL*",)), "users"),
        (Rule(groups=("lab-?",)), ""),
        (Rule(groups=("lab",)), "groups"),
        (Rule(keys=("SHA256:" + "b" * 43, KEY)), ""),
        (Rule(keys=("SHA256:" + "b" * 43,)), "keys"),
        (Rule(addresses=("10.0.0.0/8", "192.0.2.7")), ""),
        (Rule(addresses=("192.0.2.7/24",)), ""),
        (Rule(addresses=("192.0.2.8", "2001:db8::/32")), "addresses"),
        (Rule(users=("alice",), groups=("nobody",)), "groups"),
    ],
)
def test_conditions(rule: Rule, missed: str) -> None:
    assert missed_by(rule, ALICE) == missed


@pytest.mark.parametrize(
    ("host", "is_in"),
    [("192.0.2.1", True), ("::ffff:192.0.2.1", True), ("2001:db8::1%eth0", True), ("2001:db9::1", False),
     ("unknown", False), ("", False)],
)  # fmt: skip
def test_addresses(host: str, is_in: bool) -> None:
    rule = Rule(addresses=("192.0.2.0/24", "2001:db8::/32"))
    assert (missed_by(rule, Login(username="x", host=host)) == "") is is_in


def test_no_key_meets_no_condition_about_keys() -> None:
    assert missed_by(Rule(keys=(KEY,)), Login(username="alice")) == "keys"


def test_all_that_match_are_laid_over_in_the_order_of_the_file() -> None:
    chosen = choose(BASE, ALICE)
    assert (chosen.rules, image_of(chosen)) == (("staff", "lab"), "staff:1")
    assert chosen.settings.security.max_sessions == 0
    assert chosen.settings.docker.execution.container["User"] == "1000"
    assert chosen.settings.rules == BASE.rules


def test_who_meets_none_has_the_files_own() -> None:
    assert choose(BASE, Login(username="eve")) == Chosen(settings=BASE)


def test_the_template_lies_over_the_rules_and_the_webhook_over_all() -> None:
    login = Login(username="alice", groups=("staff",), template="gpu")
    assert image_of(choose(BASE, login)) == "gpu:1"
    assert image_of(choose(BASE, login, image("hook:1"))) == "hook:1"
    assert [layer.origin for layer in layers(BASE, login)] == ["rule staff", "template gpu"]


def test_a_template_that_changes_nothing() -> None:
    chosen = choose(BASE, Login(username="alice", groups=("staff",), template="empty"))
    assert (image_of(chosen), chosen.template, chosen.unsettled) == ("staff:1", "empty", "")


def test_a_template_that_no_rule_allows_to_this_login() -> None:
    """Nothing of it holds, and a session is told at once: that is what mode connection is for."""
    for login in (Login(username="alice", groups=("staff",), template="secret"), Login(username="e", template="gpu")):
        chosen = choose(BASE, login)
        assert chosen.unsettled == "template" and login.template in chosen.why
        assert image_of(chosen) == "base:1"
        assert chosen.settings.docker.execution.mode == "connection"


def test_parts_that_are_good_by_themselves_and_not_together() -> None:
    policy = {"docker": {"execution": {"host": {"RestartPolicy": {"Name": "always"}}}}}
    settings = Settings(
        rules=(
            Rule(name="a", settings={"docker": {"execution": {"mode": "session"}}}),
            Rule(name="b", users=("bob",), settings=policy),
        )
    )
    assert choose(settings, ALICE).unsettled == ""
    chosen = choose(settings, Login(username="bob"))
    assert chosen.unsettled == "config" and "rule a, rule b" in chosen.why and "restartPolicy" in chosen.why
    assert chosen.settings.docker.execution.mode == "connection"


def test_names_with_a_template() -> None:
    settings = Settings(auth=Auth(users={"deploy+gpu": User()}), templates={"gpu": {}})
    assert split_name(settings, "alice+gpu") == ("alice", "gpu")
    assert split_name(settings, "a+b+gpu") == ("a+b", "gpu")
    for whole in ("alice", "alice+cpu", "deploy+gpu", "+gpu", "alice+", ""):
        assert split_name(settings, whole) == (whole, "")
    assert split_name(Settings(), "alice+gpu") == ("alice+gpu", "")


def test_groups() -> None:
    auth = Auth(users={"alice": User(groups=("staff",))})
    said = {"groups": Value("lab-1,lab-2 staff"), "OIDC_USERINFO_GROUPS": Value(" x "), "group": Value("no")}
    assert groups_of(auth, "alice", said) == ("staff", "lab-1", "lab-2", "x")
    assert groups_of(auth, "bob", {}) == ()


def test_a_rule_that_only_allows_lies_over_nothing() -> None:
    settings = Settings(rules=(Rule(name="all", templates=("t",)), Rule(name="b", settings=image("b:1"))))
    assert [layer.origin for layer in layers(settings, ALICE)] == ["rule b"]
    assert choose(settings, ALICE).rules == ("all", "b")
