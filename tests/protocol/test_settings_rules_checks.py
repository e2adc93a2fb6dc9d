"""What is refused of `rules` and `templates`, what is remarked, and where it is said."""

from typing import Any

import pytest

from protocol.settings_read import SettingsError, read_settings
from tests.protocol.test_settings_every_key import WAY_IN

SESSION: dict[str, Any] = {"docker": {"execution": {"mode": "session"}}}
RESTART: dict[str, Any] = {"docker": {"execution": {"host": {"restartPolicy": {"name": "always"}}}}}
ENABLED: dict[str, Any] = {"security": {"forwarding": {"forwardingMode": "enable"}}}


def rule(**more: Any) -> dict[str, Any]:
    return {"name": "r", "settings": {"security": {"maxSessions": 3}}, **more}


def problems(**tree: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        read_settings({"auth": WAY_IN, **tree})
    return {problem.path: problem.sentence for problem in caught.value.problems}


def warnings(**tree: Any) -> dict[str, str]:
    return {warning.path: warning.sentence for warning in read_settings({"auth": WAY_IN, **tree}).warnings}


@pytest.mark.parametrize("name", ["", "a b", "-x", "ü"])
def test_a_rule_and_a_template_have_names(name: str) -> None:
    assert "no name" in problems(rules=[rule(name=name)])["rules[0].name"]
    assert "no name" in problems(templates={name: {}})[f"templates.{name}"]


def test_two_rules_of_one_name() -> None:
    assert list(problems(rules=[rule(), rule()])) == ["rules[1].name"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("users", ""),
        ("groups", ""),
        ("keys", "SHA256:short"),
        ("keys", "MD5:16:27:ac"),
        ("addresses", "192.0.2.0/33"),
        ("addresses", "host.example"),
        ("templates", "nonesuch"),
    ],
)
def test_a_condition_that_nobody_could_meet(key: str, value: str) -> None:
    assert list(problems(rules=[rule(**{key: ["x" if key in ("users", "groups") else value, value]})]))[-1] == (
        f"rules[0].{key}[1]"
    )


def test_the_nearest_template_is_named() -> None:
    assert (
        "did you mean gpu" in problems(rules=[rule(templates=["gpus"])], templates={"gpu": {}})["rules[0].templates[0]"]
    )


def test_what_a_part_makes_of_the_whole_is_checked() -> None:
    found = problems(rules=[rule(settings=SESSION)], templates={"t": SESSION}, docker=RESTART["docker"])
    assert list(found) == [
        "rules[0].settings.docker.execution.host.restartPolicy",
        "templates.t.docker.execution.host.restartPolicy",
    ]


def test_an_image_that_is_taken_away_is_missed() -> None:
    image = {"docker": {"execution": {"container": {"image": None}}}}
    assert "no image name" in problems(templates={"t": image})["templates.t.docker.execution.container.image"]


def test_remarks() -> None:
    found = warnings(rules=[{"name": "r"}, rule(name="s", settings=ENABLED)], templates={"t": {}})
    assert "does nothing" in found["rules[0]"]
    assert "no rule allows" in found["templates.t"]
    assert "not served yet" in found["rules[1].settings.security.forwarding.forwardingMode"]
    assert warnings(rules=[rule(templates=["t"])], templates={"t": {}}) == {}


def test_the_files_own_remark_is_not_said_again_of_each_part() -> None:
    assert list(warnings(rules=[rule()], security=ENABLED["security"])) == ["security.forwarding.forwardingMode"]


def test_a_name_of_its_own_for_each_login_is_no_matter_of_the_pool() -> None:
    """Spares are the file's own; a login with another name has a container made for it."""
    named = {"docker": {"execution": {"containername": "alice"}}}
    assert list(warnings(rules=[rule(settings=named)], docker={"pool": {"size": 1}})) == [
        "rules[0].settings.docker.execution.containername"
    ]
