"""The part of the settings that may differ from login to login, and how such a part is laid over the whole.

A part is a tree of what is given and nothing else, in the file's own spelling; so false, 0 and what is empty can be
said, and what is not said stays. Sections and the engine's objects are laid over each other key by key; any other
value, lists and mappings of free names included, takes the place of the one that was there; so does a registry login.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from msgspec import Struct, inspect
from msgspec.structs import replace

from protocol.settings import RegistryAuth, Settings
from protocol.settings_engine import TREES
from protocol.settings_problem import is_within

S = TypeVar("S", bound=Struct)
PER_LOGIN = ("docker.execution", "docker.timeouts", "security", "limits")
# What lifts a refusal: the operator's own hand writes it, in the file.
FILE_ONLY = ("docker.execution.allowDangerous",)


# Sections that ContainerSSH's own library writes into an answer and ContainerSSH does not look at.
_PASSED_OVER = frozenset({"ssh", "configserver", "auth", "log", "metrics", "geoip", "audit", "health"})
_DEPTH_MAX = 32


def may_differ(path: str, is_file: bool = True) -> bool:
    """`path`, as in the whole file, is of the part that may differ, or leads to it. `is_file`: the file says so."""
    if not is_file and any(is_within(path, one) for one in FILE_ONLY):
        return False
    return any(is_within(path, one) or is_within(one, path) for one in PER_LOGIN)


def with_each_part(settings: Settings) -> Iterator[Settings]:
    """The settings, and what each rule and each template by itself makes of them."""
    yield settings
    for part in (*(rule.settings for rule in settings.rules), *settings.templates.values()):
        if part:
            yield overlaid(settings, part)


def as_webhook_means(tree: Mapping[str, Any], skips_zeros: bool) -> dict[str, Any]:
    """What an answer of the configuration webhook says, as a part that can be read. The backend is the one there is."""
    meant = {key: value for key, value in tree.items() if key != "backend" or value not in ("docker", "")}
    if not skips_zeros:
        return meant
    return _without_zeros({key: value for key, value in meant.items() if key not in _PASSED_OVER}, 0)


def _without_zeros(tree: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth > _DEPTH_MAX:
        return dict(tree)
    below = {key: _without_zeros(value, depth + 1) if isinstance(value, dict) else value for key, value in tree.items()}
    return {key: value for key, value in below.items() if value}


def overlaid(settings: Settings, part: Mapping[str, Any]) -> Settings:
    """The settings with what a part says."""
    return _over(settings, part)


def _over(base: S, part: Mapping[str, Any]) -> S:
    fields = _fields(type(base))
    return replace(base, **{fields[key].name: _value(base, fields[key], said) for key, said in part.items()})


def _value(base: Struct, field: inspect.Field, said: Any) -> Any:
    there = getattr(base, field.name)
    if isinstance(there, RegistryAuth):  # as a whole: half of one login and half of another are shown to nobody
        return _over(RegistryAuth(), said)
    if isinstance(there, Struct):
        return _over(there, said)
    extra = (field.type.extra or {}) if isinstance(field.type, inspect.Metadata) else {}
    return _over_object(_tree(extra["engine"]), there, said) if "engine" in extra else said


def _over_object(kind: inspect.TypedDictType, base: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """An object of the engine's API. What a part says to be nothing is taken away."""
    kinds = {field.name: field.type for field in kind.fields}
    result = dict(base)
    for name, said in part.items():
        below = kinds.get(name)
        if said is None:
            result.pop(name, None)
        elif isinstance(below, inspect.TypedDictType):
            result[name] = _over_object(below, result.get(name, {}), said)
        else:
            result[name] = said
    return result


@cache
def _fields(kind: type[Struct]) -> dict[str, inspect.Field]:
    return {field.encode_name: field for field in cast(inspect.StructType, inspect.type_info(kind)).fields}


@cache
def _tree(name: str) -> inspect.TypedDictType:
    return cast(inspect.TypedDictType, inspect.type_info(TREES[name]))
