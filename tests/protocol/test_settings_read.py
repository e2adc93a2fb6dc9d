"""Reading a raw tree: what is taken, in which spelling, and what is refused with which words."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.settings import Settings, Timeouts
from protocol.settings_engine import TREES
from protocol.settings_read import Plain, Problem, Reading, SettingsError, read_settings
from protocol.settings_schema import fields

BCRYPT = "$2b$12$" + "a" * 53
WAY_IN: dict[object, object] = {"users": {"alice": {"passwordHash": BCRYPT}}}


def _with(**sections: object) -> Reading:
    return read_settings({"auth": WAY_IN, **sections})


def _execution(**keys: object) -> Reading:
    return _with(docker={"execution": keys})


def _refused(tree: object) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        read_settings(tree)
    return caught.value.problems


def _refusal(**sections: object) -> Problem:
    (problem,) = _refused({"auth": WAY_IN, **sections})
    return problem


def test_an_almost_empty_file_has_every_default() -> None:
    reading = _with()
    assert reading == Reading(Settings(auth=reading.settings.auth))
    assert reading.settings.auth.users["alice"].password_hash == BCRYPT


@pytest.mark.parametrize("empty", [None, {}, Plain(""), Plain("~")])
def test_an_empty_file_lacks_a_way_in(empty: object) -> None:
    (problem,) = _refused(empty)
    assert problem.path == "auth.users"
    assert "no authentication method configured" in problem.found
    assert "authorizedKeys" in problem.advice


@pytest.mark.parametrize("tree", [[], "ssh", 5, object(), Plain("x"), True])
def test_a_file_that_is_no_mapping(tree: object) -> None:
    (problem,) = _refused(tree)
    assert problem.path == ""


def test_keys_without_a_value_keep_their_defaults() -> None:
    assert _with(ssh={"listen": None, "kex": Plain("")}, docker=None, log=Plain("~")).settings == _with().settings


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    tree: dict[str, object] = {
        "state": 5,
        "docker": {
            "timeouts": {"http": "fast"},
            "execution": {"host": {"memroy": 1}, "imagePullPolicy": "never", "container": {"image": ""}},
        },
        "sssh": {},
        "ssh": {"serverVersion": "hello", "listen": "nowhere", "maxAuthTries": 0},
        "auth": {"users": {"bob": {}}},
    }
    assert [problem.path for problem in _refused(tree)] == [
        "state",
        "docker.timeouts.http",
        "docker.execution.host.memroy",
        "docker.execution.imagePullPolicy",
        "docker.execution.container.image",
        "sssh",
        "ssh.serverVersion",
        "ssh.listen",
        "ssh.maxAuthTries",
        "auth.users.bob",
    ]


def test_the_error_carries_what_could_be_read() -> None:
    with pytest.raises(SettingsError) as caught:
        _with(ssh={"listen": 5, "banner": "hello"}, docker={"timeouts": {"http": 5}})
    assert caught.value.settings is not None
    assert caught.value.settings.ssh.banner == "hello"
    assert [warning.path for warning in caught.value.warnings] == ["docker.timeouts.http"]


# --- our own sections ------------------------------------------------------------------------------------------


def test_an_unknown_key_is_answered_with_the_nearest() -> None:
    problem = _refusal(docker={"execution": {"imagePulPolicy": "Never"}})
    assert (problem.path, problem.found) == ("docker.execution.imagePulPolicy", "unknown key")
    assert problem.advice == "did you mean imagePullPolicy?"
    assert "idleCommand" in problem.allowed
    assert _refusal(zzzzzz=1).advice == ""
    assert _refusal(docker={"Execution": {}}).advice == "did you mean execution?"


@pytest.mark.parametrize(
    ("section", "raw", "allowed"),
    [
        ("ssh", "x", "a mapping"),
        ("ssh", {"listen": 22}, "text"),
        ("ssh", {"banner": []}, "text"),
        ("ssh", {"kex": "curve25519-sha256"}, "a list"),
        ("ssh", {"kex": [5]}, "text"),
        ("ssh", {"maxAuthTries": "many"}, "a whole number"),
        ("ssh", {"maxAuthTries": 1.5}, "a whole number"),
        ("ssh", {"maxAuthTries": True}, "a whole number"),
        ("ssh", {"maxAuthTries": 0}, "a whole number, at least 1"),
        ("ssh", {"maxAuthTries": 2**63}, "a whole number of 64 bits"),
        ("ssh", {"maxAuthTries": float("inf")}, "a whole number"),
        ("ssh", {"banner": "\ud800"}, "text"),
        ("log", {"syslog": {"pid": "maybe"}}, "true or false"),
        ("log", {"syslog": {"pid": "yes"}}, "true or false"),
        ("log", {"format": ["text"]}, "ljson, text"),
        ("docker", {"execution": {"subsystems": []}}, "a mapping"),
        ("docker", {"execution": {"subsystems": {5: "x"}}}, "text"),
        ("docker", {"execution": {"subsystems": {"\ud800": "x"}}}, "text"),
        ("docker", {"execution": {5: "x"}}, "text"),
    ],
)
def test_a_wrong_type_is_refused_with_what_is_allowed(section: str, raw: object, allowed: str) -> None:
    assert _refusal(**{section: raw}).allowed == allowed


def test_the_edges_of_what_is_taken() -> None:
    assert _with(ssh={"maxAuthTries": 1, "maxStartups": 2**63 - 1}).settings.ssh.max_startups == 2**63 - 1
    assert _with(shutdown={"grace": 2**63 - 1}).settings.shutdown.grace == (2**63 - 1) / 1e9


def test_unquoted_text_means_what_its_key_wants() -> None:
    ssh = {"maxAuthTries": Plain("0x10"), "banner": Plain("1.10"), "kex": [Plain("5")], "maxStartups": Plain("1e2")}
    settings = _with(ssh=ssh, log={"syslog": {"pid": Plain("on")}}).settings
    assert (settings.ssh.max_auth_tries, settings.ssh.banner, settings.ssh.kex) == (16, "1.10", ("5",))
    assert settings.ssh.max_startups == 100
    assert settings.log.syslog.pid is True
    assert type(settings.ssh.banner) is str


@pytest.mark.parametrize(
    ("path", "raw", "found", "near"),
    [
        ("mode", "sesion", "invalid execution mode: sesion", "session"),
        ("imagePullPolicy", "never", "invalid image pull policy: never", "Never"),
        ("imagePullPolicy", 5, "invalid image pull policy: the number 5", ""),
    ],
)
def test_a_bad_choice_is_refused_in_the_words_people_search_for(path: str, raw: object, found: str, near: str) -> None:
    problem = _refusal(docker={"execution": {path: raw}})
    assert problem.found == found
    assert near in problem.advice


def test_other_backends_and_levels() -> None:
    assert _refusal(backend="podman").found == "invalid backend: podman"
    assert _refusal(log={"level": "trace"}).found == "invalid choice: trace"
    assert _refusal(log={"level": 8}).path == "log.level"
    levels = [_with(log={"level": level}).settings.log.level for level in (7, Plain("5"), 0, "crit", "")]
    assert levels == ["debug", "notice", "emerg", "crit", "notice"]


def test_one_key_in_two_spellings() -> None:
    assert _execution(containerName="one-and-only").settings.docker.execution.containername == "one-and-only"
    problem = _refusal(docker={"execution": {"containername": "ab", "containerName": "cd"}})
    assert problem.path == "docker.execution.containerName"


def test_rules_that_follow_from_the_mode_wait_for_the_mode() -> None:
    paths = [problem.path for problem in _refused({"auth": WAY_IN, "docker": {"execution": {"shellCommand": []}}})]
    assert paths == ["docker.execution.shellCommand"]
    assert _refusal(docker={"execution": {"mode": "sesion", "shellCommand": []}}).path == "docker.execution.mode"


def test_rules_at_a_place_and_under_it_are_both_told() -> None:
    problems = _refused({"auth": WAY_IN, "docker": {"connection": {"key": "key.pem"}}})
    assert [problem.path for problem in problems] == ["docker.connection", "docker.connection.key"]


# --- durations ---------------------------------------------------------------------------------------------------


def test_durations() -> None:
    raw = {"http": "1m30s", "window": "100ms", "signal": 0, "commandStart": "0s", "containerStart": None}
    assert _with(docker={"timeouts": raw}).settings.docker.timeouts == Timeouts(http=90.0, window=0.1)
    assert _with(shutdown={"grace": "0s", "kill": 0}).settings.shutdown.grace == 0.0


@pytest.mark.parametrize("raw", [60_000_000_000, Plain("60000000000"), 6e10])
def test_a_bare_number_is_nanoseconds_and_gets_a_remark(raw: object) -> None:
    reading = _with(docker={"timeouts": {"http": raw}})
    assert reading.settings.docker.timeouts.http == 60.0
    (warning,) = reading.warnings
    assert warning.path == "docker.timeouts.http"
    assert "nanoseconds: 60 s" in warning.found


@pytest.mark.parametrize("raw", ["60", "fast", "-1s", -1, True, [], float("nan"), float("inf"), 2**64, "x" * 100])
def test_a_bad_duration(raw: object) -> None:
    problem = _refusal(docker={"timeouts": {"http": raw}})
    assert problem.found.startswith("invalid duration: ")
    assert "60s" in problem.allowed


# --- secrets, and anything at all --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tree",
    [
        {"auth": {"users": {"a": "hunter2"}}},
        {"auth": {"users": "hunter2"}},
        {"auth": {"users": {"a": {"passwordHash": "hunter2"}}}},
        {"auth": {"users": {"a": {"passwordHash": ["hunter2"]}}}},
        {"auth": {"users": {"a": {"password": "hunter2"}}}},
        {"auth": {"users": {"a": {"authorizedKeys": "hunter2"}}}},
        {"auth": {"users": {"a": {"authorizedKeys": ["-----BEGIN PRIVATE KEY-----hunter2"]}}}},
        {"ssh": {"hostkeys": "hunter2"}},
        {"docker": {"connection": {"key": "hunter2"}}},
        {"docker": {"execution": {"auth": "hunter2"}}},
        {"docker": {"execution": {"container": {"Env": {"A": "hunter2"}, "Cmd": "hunter2"}}}},
        {"docker": {"execution": {"container": {"Env": ["=hunter2"]}}}},
        {"auth": {"password": {"method": "webhook", "webhook": {"url": "hunter2"}}}},
    ],
)
def test_no_secret_is_repeated(tree: object) -> None:
    problems = _refused(tree)
    assert not any("hunter2" in str(problem) for problem in problems)


def _known_keys() -> list[str]:
    ours = {part for path, _, _ in fields() for part in path.split(".")}
    return sorted(ours | {name for tree in TREES.values() for name in tree.__annotations__} | {"resources", "security"})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters()).map(Plain)
    | st.binary(max_size=3)
    | st.sampled_from(["session", "60s", BCRYPT, "", "no", "0", Plain("no"), Plain("60"), Plain("512m")])
)
KEYS = st.sampled_from(_known_keys()) | st.text(max_size=5) | st.text(max_size=5).map(Plain) | st.integers() | st.none()
TREE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)


def _lean(paths: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Trees with anything at all at places where something belongs."""

    def planted(plants: dict[str, object]) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for path, value in plants.items():
            here = tree
            *parents, last = path.split(".")
            for parent in parents:
                below = here.setdefault(parent, {})
                here = below if isinstance(below, dict) else here
            here[last] = value
        return tree

    return st.dictionaries(st.sampled_from(paths), TREE, max_size=6).map(planted)


@given(TREE | _lean([path for path, _, _ in fields()]))
def test_any_tree_is_read_or_refused(tree: object) -> None:
    try:
        reading = read_settings(tree)
    except SettingsError as error:
        assert error.problems
        assert all(str(problem) and "\n" not in str(problem) for problem in error.problems)
    else:
        assert msgspec.convert(msgspec.to_builtins(reading.settings), Settings) == reading.settings
