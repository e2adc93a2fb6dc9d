"""A part of the settings: how it is read, what may be in it, and how it is laid over the whole."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import to_builtins

from protocol.settings import Docker, Execution, RegistryAuth, Rule, Settings, Timeouts
from protocol.settings_part import as_webhook_means, may_differ, overlaid, with_each_part
from protocol.settings_problem import Plain
from protocol.settings_read import SettingsError, read_part, read_settings
from protocol.settings_secrets import HIDDEN, part_without_secrets, without_secrets
from tests.protocol.test_settings_every_key import WAY_IN

BASE = Settings(
    docker=Docker(
        execution=Execution(
            container={"Image": "base:1", "Env": ["A=1", "B=2"], "Labels": {"x": "1"}},
            host={"Memory": 512, "Init": True, "LogConfig": {"Type": "json-file", "Config": {"a": "b"}}},
            disable_agent=True,
            agent_path="/x",
            subsystems={"sftp": "/x"},
        ),
        timeouts=Timeouts(http=3.0),
    )
)


def part(execution: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    taken, problems = read_part({"docker": {"execution": execution or {}}, **more}, "p")
    assert not problems
    return taken


def over(execution: dict[str, Any]) -> Execution:
    return overlaid(BASE, part(execution)).docker.execution


def test_false_zero_and_empty_can_be_said() -> None:
    made = over(
        {
            "disableAgent": False,
            "agentPath": "",
            "subsystems": {},
            "host": {"memory": Plain("0"), "init": Plain("false"), "binds": []},
            "container": {"env": [], "labels": {}, "user": ""},
        }
    )
    assert (made.disable_agent, made.agent_path, made.subsystems) == (False, "", {})
    assert made.host == {**BASE.docker.execution.host, "Memory": 0, "Init": False, "Binds": []}
    assert made.container == {"Image": "base:1", "Env": [], "Labels": {}, "User": ""}


def test_nothing_takes_a_field_of_the_engines_objects_away_and_leaves_a_key_of_ours() -> None:
    made = over({"host": {"memory": None, "logConfig": {"type": Plain("")}}, "agentPath": None})
    assert "Memory" not in made.host and made.agent_path == "/x"
    assert made.host["LogConfig"] == {"Config": {"a": "b"}}


def test_an_empty_choice_takes_the_files_own_away() -> None:
    base = overlaid(BASE, part({"host": {"restartPolicy": {"name": "always", "maximumRetryCount": 3}}}))
    made = overlaid(base, part({"host": {"restartPolicy": {"name": ""}}}))
    assert made.docker.execution.host["RestartPolicy"] == {"MaximumRetryCount": 3}


def test_objects_are_laid_over_key_by_key_and_lists_and_free_names_are_replaced() -> None:
    made = over({"container": {"env": ["C=3"], "labels": {"y": "2"}}, "host": {"logConfig": {"type": "none"}}})
    assert made.container == {"Image": "base:1", "Env": ["C=3"], "Labels": {"y": "2"}}
    assert made.host["LogConfig"] == {"Type": "none", "Config": {"a": "b"}}


def test_where_zero_and_empty_words_mean_the_default_they_do_so_here() -> None:
    taken = part({"imagePullPolicy": "", "mode": ""}, security={"command": {"mode": ""}})
    taken["docker"]["timeouts"] = read_part({"docker": {"timeouts": {"http": 0}}}, "p")[0]["docker"]["timeouts"]
    made = overlaid(BASE, taken)
    assert (made.docker.timeouts.http, made.docker.execution.image_pull_policy) == (15.0, "IfNotPresent")


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"ssh": {}}, "p.ssh"),
        ({"docker": {"connection": {}}}, "p.docker.connection"),
        ({"docker": {"pool": {"size": 1}}}, "p.docker.pool"),
        ({"docker": {"execution": {"auth": {"user": "x"}}}}, "p.docker.execution.auth.user"),
        ({"rules": []}, "p.rules"),
        ({"backend": "docker"}, "p.backend"),
        ({"docker": {"execution": {"host": {"memroy": 1}}}}, "p.docker.execution.host.memroy"),
        ({"security": {"shell": {"mode": "enabel"}}}, "p.security.shell.mode"),
        ({"docker": []}, "p.docker"),
        ("x", "p"),
    ],
)
def test_what_may_not_be_in_it(tree: object, path: str) -> None:
    _, problems = read_part(tree, "p")
    assert [problem.path for problem in problems] == [path]


def test_the_same_is_said_of_the_file_at_its_own_place() -> None:
    rules = [{"name": "r", "settings": {"docker": {"execution": {"mode": "sesion"}}}}]
    with pytest.raises(SettingsError) as caught:
        read_settings({"auth": WAY_IN, "rules": rules})
    (problem,) = caught.value.problems
    assert problem.path == "rules[0].settings.docker.execution.mode"
    assert problem.found == "invalid execution mode: sesion"


def test_only_a_part_is_meant_where_a_part_begins_and_ends() -> None:
    settings = read_settings(
        {"auth": WAY_IN, "templates": {"t": {"docker": {"execution": {"container": {"user": "1"}}}}}, "docker": {}}
    ).settings
    assert settings.templates["t"] == {"docker": {"execution": {"container": {"User": "1"}}}}
    assert settings.docker.execution.container["Image"]


def test_may_differ() -> None:
    assert may_differ("docker") and may_differ("docker.execution.host") and may_differ("security.shell.mode")
    assert may_differ("docker.execution.allowDangerous") and not may_differ("docker.execution.allowDangerous", False)
    assert not may_differ("docker.connection") and not may_differ("ssh")


def test_a_registry_login_is_replaced_as_a_whole() -> None:
    """What is left of another would be sent to the wrong registry, or be the wrong half."""
    auth = RegistryAuth(username="file", password="p1", serveraddress="one.example", identitytoken="t")
    base = overlaid(BASE, {"docker": {"execution": {"auth": to_builtins(auth)}}})
    assert base.docker.execution.auth == auth
    part = {"docker": {"execution": {"auth": {"username": "ann", "password": "p2"}}}}
    made = overlaid(base, read_part(part, "p")[0])
    assert made.docker.execution.auth == RegistryAuth(username="ann", password="p2")
    shown = str(part_without_secrets(part))
    assert "ann" not in shown and "p2" not in shown and HIDDEN in shown


def test_no_secret_of_a_part_is_shown() -> None:
    env = {"docker": {"execution": {"container": {"env": ["TOKEN=hunter2", "PLAIN"]}}}}
    settings = read_settings(
        {"auth": WAY_IN, "rules": [{"name": "r", "settings": env, "users": ["a"]}], "templates": {"t": env}}
    ).settings
    tree = without_secrets(settings)
    shown = {"docker": {"execution": {"container": {"Env": [f"TOKEN={HIDDEN}", "PLAIN"]}}}}
    assert tree["rules"][0]["settings"] == shown and tree["templates"]["t"] == shown
    assert part_without_secrets(settings.templates["t"]) == shown
    assert list(tree["rules"][0]["users"]) == ["a"] and "hunter2" not in str(tree)


def test_zeros_of_a_go_program() -> None:
    tree = {
        "ssh": {"listen": ":1"},
        "backend": "",
        "docker": {"execution": {"host": {"Memory": 0, "Binds": None, "Init": False, "PidsLimit": 5}, "mode": ""}},
        "security": {"maxSessions": 0},
    }
    assert as_webhook_means(tree, True) == {"docker": {"execution": {"host": {"PidsLimit": 5}}}}
    assert as_webhook_means(tree, False) == {key: value for key, value in tree.items() if key != "backend"}


def test_zeros_are_looked_for_only_so_deep() -> None:
    tree: dict[str, Any] = {"x": 0}
    for _ in range(40):
        tree = {"x": tree}
    assert as_webhook_means({"docker": tree}, True) == {"docker": tree}


def test_the_settings_and_what_each_part_makes_of_them() -> None:
    tree = {"security": {"maxSessions": 1}}
    rules = (Rule(name="a", settings=tree), Rule(name="b", templates=("t",)))
    settings = Settings(rules=rules, templates={"t": {"security": {"maxSessions": 2}}})
    assert [one.security.max_sessions for one in with_each_part(settings)] == [-1, 1, 2]


# --- properties --------------------------------------------------------------------------------------------------

VALUES = {
    "Memory": st.integers(0, 9),
    "Init": st.booleans(),
    "PidsLimit": st.integers(-1, 3),
    "Binds": st.lists(st.text("ab", max_size=2), max_size=2),
    "Sysctls": st.dictionaries(st.sampled_from("xy"), st.text("ab", max_size=1), max_size=2),
    "RestartPolicy": st.fixed_dictionaries({}, optional={"Name": st.sampled_from(["", "no"])}),
}
HOST = st.fixed_dictionaries({}, optional=VALUES)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "docker": st.fixed_dictionaries(
            {},
            optional={
                "execution": st.fixed_dictionaries(
                    {},
                    optional={
                        "host": HOST,
                        "disableAgent": st.booleans(),
                        "agentPath": st.text("ab", max_size=2),
                        "idleCommand": st.lists(st.text("ab", max_size=1), max_size=2),
                        "subsystems": st.dictionaries(st.sampled_from("xy"), st.just("/x"), max_size=2),
                    },
                )
            },
        ),
        "security": st.fixed_dictionaries({}, optional={"maxSessions": st.integers(-1, 2)}),
    },
)


def read(tree: dict[str, Any]) -> dict[str, Any]:
    taken, problems = read_part(tree, "p")
    assert not problems
    return taken


def policy(name: str) -> dict[str, Any]:
    return {"docker": {"execution": {"host": {"RestartPolicy": {"Name": name}}}}}


@given(PARTS, PARTS)
@example(policy("no"), policy(""))
def test_what_is_said_holds_and_what_is_not_said_stays(below: dict[str, Any], tree: dict[str, Any]) -> None:
    base = overlaid(BASE, read(below))

    def look(said: Any, now: Any, was: Any) -> None:
        assert all(said[key] == "" for key in was.keys() - now.keys())  # an empty choice is the engine's default
        for key in now:
            if key not in said:
                assert now[key] == was[key]
            elif key in ("docker", "execution", "host", "security", "RestartPolicy"):
                look(said[key], now[key], was.get(key, {}))
            else:
                assert now[key] == (tuple(said[key]) if isinstance(now[key], tuple) else said[key])

    look(tree, to_builtins(overlaid(base, read(tree))), to_builtins(base))


@given(PARTS)
def test_said_twice_is_said_once(tree: dict[str, Any]) -> None:
    taken = read(tree)
    once = overlaid(BASE, taken)
    assert overlaid(once, taken) == once


@given(PARTS)
def test_the_base_is_not_touched(tree: dict[str, Any]) -> None:
    before = to_builtins(BASE)
    overlaid(BASE, read(tree))
    assert to_builtins(BASE) == before
