"""Every key: what it is without the file saying so, a value that it takes, and one that it does not.

Made from the types, so that no key can be added without these three. Rules that span keys have tests of their own.
"""

from copy import deepcopy
from typing import Any, cast

import msgspec
import pytest
from msgspec import NODEFAULT, inspect

from protocol.settings import Rule, Settings
from protocol.settings_engine import TREES
from protocol.settings_problem import is_within
from protocol.settings_read import Plain, SettingsError, read_settings
from protocol.settings_schema import default_of, fields

PEM = "-----BEGIN X-----"
HASH = "$2b$12$" + "a" * 53
WAY_IN = {"users": {"NAME": {"passwordHash": HASH}}}
# Where a rule wants more than the type.
VALUES: dict[str, Any] = {
    "ssh.listen": "127.0.0.1:1",
    "ssh.serverVersion": "SSH-2.0-x",
    "docker.connection.host": "unix:///x",
    "docker.execution.containername": "one",
    "docker.execution.hardeningOff": ["capabilities"],
    "docker.execution.allowDangerous": ["privileged"],
    "auth.users.NAME.passwordHash": HASH,
    "auth.users.NAME.totp": "JBSWY3DPEHPK3PXP",
    "auth.users.NAME.methods": ["password"],
    "auth.methods": ["password"],
    "auth.authorizedKeysCommand.command": ["/x"],
    "dockerrun.host": "tcp://x:1",
    "dockerrun.config.containername": "one",
    "listen": "127.0.0.1:1",
    "metrics.listen": ":1",
    "health.listen": ":1",
    "metrics.path": "/x",
    "health.client.url": "http://x",
    "security.signal.allow": ["TERM"],
    "security.signal.deny": ["KILL"],
    "audit.s3.uploadPartSize": 6 * 2**20,
    "security.forceCommand": "x",
    "docker.pool.size": 3,
    "configserver.url": "http://x",
    "rules[].keys": ["SHA256:" + "a" * 43],
    "rules[].addresses": ["192.0.2.0/24"],
    "rules[].settings": {"security": {"maxSessions": 0}},
    "rules[].templates": ["t"],
    "templates": {"t": {"security": {"maxSessions": 0}}},
}
HOOK = {"method": "webhook", "webhook": {"url": "http://x"}}
# What has to stand beside it.
BESIDE: dict[str, dict[str, Any]] = {
    **{f"docker.connection.{key}": {"cacert": PEM, "cert": PEM, "key": PEM} for key in ("cacert", "cert", "key")},
    **{f"dockerrun.{key}": {"cacert": PEM, "cert": PEM, "key": PEM} for key in ("cacert", "cert", "key")},
    **{
        f"{path}.{key}": {"cert": "x", "key": "x"}
        for path in ("configserver", "metrics", "health", "health.client")
        for key in ("cert", "key")
    },
    **{f"auth.users.NAME.{key}": WAY_IN["users"]["NAME"] for key in ("totp", "methods", "groups")},
    **{f"rules[].{key}": {"name": "r"} for key in Rule.__struct_fields__},
    **{f"auth.{name}.method": HOOK for name in ("password", "publicKey", "authz")},
    "auth.keyboardInteractive.method": {"method": "oauth2", "oauth2": {"clientId": "x", "oidc": {"url": "http://x"}}},
}


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


KEYS = {path: field for path, _, field in fields() if not isinstance(_bare(field.type), inspect.StructType)}


def _is_of_users(path: str) -> bool:
    return is_within(path, "auth.users")


def tree_of(path: str, value: object) -> dict[str, Any]:
    """The file in which only this key is said, and what it needs beside it."""
    tree: dict[str, Any] = {} if _is_of_users(path) else {"auth": deepcopy(WAY_IN)}
    if path == "rules[].templates":
        tree["templates"] = {"t": {}}
    place, keys = tree, path.split(".")
    for key in keys[:-1]:
        is_list = key.endswith("[]")
        place = place.setdefault(key[:-2], [{}])[0] if is_list else place.setdefault(key, {})
    place.update(BESIDE.get(path, {}))
    place[keys[-1]] = value
    return tree


def value_at(settings: Settings, path: str) -> Any:
    value: Any = msgspec.to_builtins(settings)
    for key in path.split("."):
        value = value[key[:-2]][0] if key.endswith("[]") else value[key]
    return value


def good(path: str, kind: inspect.Type) -> tuple[object, object]:
    """A value other than the default, as the file has it and as the settings have it."""
    extra = (kind.extra or {}) if isinstance(kind, inspect.Metadata) else {}
    kind = _bare(kind)
    if path in VALUES:
        value = VALUES[path]
        return value, tuple(value) if isinstance(value, list) else value
    beside = BESIDE.get(path, {})
    if (value := beside.get(path.rpartition(".")[2])) is not None:
        return value, value
    if "engine" in extra:
        tree = {"container": {"Image": "x:1"}, "host": {"Memory": 1}, "platform": {"os": "linux"}}
        value = tree.get(extra["engine"], {"EndpointsConfig": {}})
        return value, value
    match kind:
        case inspect.BoolType():
            return Plain("true"), True
        case inspect.IntType():
            return 7, 7
        case inspect.FloatType():
            return "90s", 90.0
        case inspect.LiteralType():
            return kind.values[-1], kind.values[-1]
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return [{"name": "x"}], (msgspec.to_builtins(Rule(name="x")),)
        case inspect.VarTupleType():
            return ["x"], ("x",)
        case inspect.DictType() if isinstance(kind.value_type, inspect.StructType):
            return {"b": {"passwordHash": HASH}}, {
                "b": {"authorizedKeys": (), "passwordHash": HASH, "totp": "", "methods": (), "groups": ()}
            }
        case inspect.DictType():
            return {"x": "/x"}, {"x": "/x"}
    return "x", "x"


@pytest.mark.parametrize("path", KEYS)
def test_default(path: str) -> None:
    if _is_of_users(path) or path.startswith("rules[]"):
        return  # they are their operator's alone
    default = default_of(KEYS[path])
    assert default is not NODEFAULT
    read = value_at(read_settings({"auth": WAY_IN}).settings, path)
    if isinstance(read, float):
        assert default == (f"{read:g}s" if read else 0)
    else:
        assert read == default


@pytest.mark.parametrize("path", KEYS)
def test_taken(path: str) -> None:
    said, meant = good(path, KEYS[path].type)
    settings = read_settings(tree_of(path, said)).settings
    assert value_at(settings, path) == meant


@pytest.mark.parametrize("path", KEYS)
def test_refused(path: str) -> None:
    """A value of another type, and what is allowed is said."""
    kind = _bare(KEYS[path].type)
    wrong: object = ["no such thing"] if not isinstance(kind, inspect.VarTupleType) else "no list"
    with pytest.raises(SettingsError) as caught:
        read_settings(tree_of(path, wrong))
    path = path.replace("[]", "[0]")
    (problem,) = [problem for problem in caught.value.problems if is_within(problem.path, path)]
    assert problem.path == path
    assert problem.allowed
    assert "no such thing" not in problem.sentence


@pytest.mark.parametrize(("value", "taken"), [("auto", "auto"), (Plain("auto"), "auto"), (Plain("3"), 3), (0, 0)])
def test_a_word_or_a_number(value: object, taken: object) -> None:
    assert value_at(read_settings(tree_of("docker.pool.size", value)).settings, "docker.pool.size") == taken


@pytest.mark.parametrize("value", ["Auto", Plain("some"), 1001, Plain("-1"), 1.5, True, None, {}])
def test_neither_the_word_nor_such_a_number(value: object) -> None:
    if value is None:
        assert value_at(read_settings(tree_of("docker.pool.size", value)).settings, "docker.pool.size") == 0
        return
    with pytest.raises(SettingsError) as caught:
        read_settings(tree_of("docker.pool.size", value))
    assert caught.value.problems[0].path == "docker.pool.size"


CHOICES = {path: cast(inspect.LiteralType, field.type) for path, field in KEYS.items()
           if isinstance(field.type, inspect.LiteralType)}  # fmt: skip


@pytest.mark.parametrize("path", CHOICES)
def test_a_typo_in_a_word_is_refused_and_never_a_default(path: str) -> None:
    word = next(value for value in CHOICES[path].values if value)
    for typo in {word + "x", word.swapcase(), f" {word}"} - {word}:
        with pytest.raises(SettingsError) as caught:
            read_settings(tree_of(path, typo))
        (problem,) = caught.value.problems
        assert problem.path == path
        assert all(str(value) in problem.allowed for value in CHOICES[path].values)


@pytest.mark.parametrize("path", [path for path in CHOICES if path.lower().endswith("mode") and "security" in path])
def test_a_bad_mode_is_said_in_containersshs_words(path: str) -> None:
    with pytest.raises(
        SettingsError, match="invalid mode: enabel; allowed: disable, enable, filter; did you mean enable"
    ):
        read_settings(tree_of(path, "enabel"))


SECTIONS = sorted({path.rpartition(".")[0] for path in KEYS} - {"auth.users.NAME"})


@pytest.mark.parametrize("path", SECTIONS)
def test_an_unknown_key_of_each_section_is_refused(path: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(tree_of(f"{path}.nonesuch" if path else "nonesuch", 1))
    (problem,) = [problem for problem in caught.value.problems if problem.path.endswith("nonesuch")]
    assert problem.found == "unknown key"


ENGINE = [(tree, field) for tree, kind in TREES.items()
          for field in cast(inspect.TypedDictType, inspect.type_info(kind)).fields]  # fmt: skip


@pytest.mark.parametrize(("tree", "field"), ENGINE, ids=lambda item: getattr(item, "name", item))
def test_each_field_of_the_engines_objects_refuses_another_type(tree: str, field: inspect.Field) -> None:
    kind = _bare(field.type)
    wrong: object = "no list" if isinstance(kind, inspect.ListType) else ["no such thing"]
    with pytest.raises(SettingsError) as caught:
        read_settings(tree_of(f"docker.execution.{tree}", {field.name.lower(): wrong}))
    (problem,) = caught.value.problems
    assert problem.path.lower() == f"docker.execution.{tree}.{field.name}".lower()
