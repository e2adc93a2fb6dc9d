"""Rules about `rules` and `templates` that a key's type cannot say."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from msgspec.structs import replace

from protocol.settings import Settings
from protocol.settings_part import overlaid
from protocol.settings_problem import Problem, nearest
from protocol.settings_rules import Rule

Check = Callable[[Settings], Iterable[Problem]]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
NAMES = "letters, digits, _ . and -"


def rule_problems(settings: Settings, check: Check) -> Iterator[Problem]:
    """`check` is asked about the settings with each rule and each template laid over."""
    names: set[str] = set()
    for index, rule in enumerate(settings.rules):
        path = f"rules[{index}]"
        if not _NAME.fullmatch(rule.name):
            yield Problem(f"{path}.name", f"no name: {rule.name[:60]!r}", NAMES, "logs and recordings tell it")
        elif rule.name in names:
            yield Problem(f"{path}.name", f"a second rule of the name {rule.name}", "a name of its own")
        names.add(rule.name)
        yield from _conditions(rule, path)
        for place, template in enumerate(rule.templates):
            if template not in settings.templates:
                near = nearest(template, settings.templates)
                found = f"there is no template {template[:60]!r}"
                yield Problem(f"{path}.templates[{place}]", found, "", f"did you mean {near}?" if near else "")
    for name in settings.templates:
        if not _NAME.fullmatch(name):
            yield Problem(f"templates.{name}", f"no name: {name[:60]!r}", NAMES, "it is chosen as USER+NAME")
    yield from of_parts(settings, check)


def rule_remarks(settings: Settings, check: Check) -> Iterator[Problem]:
    for index, rule in enumerate(settings.rules):
        if not rule.settings and not rule.templates:
            yield Problem(f"rules[{index}]", "it does nothing: it has neither settings nor templates")
    for name in settings.templates:
        if not any(name in rule.templates for rule in settings.rules):
            yield Problem(f"templates.{name}", "no rule allows it", advice="name it in a rule's templates")
    yield from of_parts(settings, check)


def _conditions(rule: Rule, path: str) -> Iterator[Problem]:
    for key in ("users", "groups"):
        for place, pattern in enumerate(getattr(rule, key)):
            if not pattern:
                yield Problem(f"{path}.{key}[{place}]", "empty text", "a name or a pattern such as lab-*")
    for place, key in enumerate(rule.keys):
        if not _FINGERPRINT.fullmatch(key):
            advice = "`ssh-keygen -lf FILE` prints it"
            yield Problem(f"{path}.keys[{place}]", f"no fingerprint: {key[:60]!r}", "SHA256:…", advice)
    for place, network in enumerate(rule.addresses):
        try:
            ip_network(network, strict=False)
        except ValueError:
            allowed = "an address, or a network such as 192.0.2.0/24"
            yield Problem(f"{path}.addresses[{place}]", f"no address: {network[:60]!r}", allowed)


def of_parts(settings: Settings, check: Check) -> Iterator[Problem]:
    """What `check` finds with a part laid over and does not find without it, said of the part's own key."""
    parts: dict[str, Mapping[str, Any]] = {
        f"rules[{index}].settings": rule.settings for index, rule in enumerate(settings.rules) if rule.settings
    }
    parts |= {f"templates.{name}": part for name, part in settings.templates.items() if part}
    known = list(check(settings)) if parts else []
    for path, part in parts.items():
        for problem in check(overlaid(settings, part)):
            if problem not in known:
                yield replace(problem, path=f"{path}.{problem.path}")
