"""Which settings a login has: the file's, what the rules that it meets lay over them, the template that it chose, and
what the configuration webhook said. Pure; `settings_part.py` has the laying over."""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from protocol.connection import Unsettled
from protocol.settings import Auth, Settings, User
from protocol.settings_checks import per_login_problems
from protocol.settings_part import overlaid
from protocol.settings_rules import Rule
from protocol.webhook import Value

# Metadata of webhooks and identity providers that names groups, in any case.
GROUPS = frozenset({"GROUPS", "OIDC_USERINFO_GROUPS"})
PROBLEMS_TOLD_MAX = 3


class Login(Struct, frozen=True, kw_only=True):
    """What rules may ask about. `key` is a fingerprint, `host` an address without its port."""

    username: str
    groups: tuple[str, ...] = ()
    key: str = ""
    host: str = ""
    template: str = ""


class Chosen(Struct, frozen=True, kw_only=True):
    """The settings of one login, and how they came about. `why` is for the operator."""

    settings: Settings
    rules: tuple[str, ...] = ()
    template: str = ""
    unsettled: Unsettled = ""
    why: str = ""


class Layer(Struct, frozen=True):
    """One part that is laid over the settings, and what it is from: `rule NAME`, `template NAME`."""

    origin: str
    part: Mapping[str, Any]


def split_name(settings: Settings, username: str) -> tuple[str, str]:
    """`alice+gpu` is alice and the template gpu, if there is such a template and no user of that whole name."""
    name, _, template = username.rpartition("+")
    if name and template in settings.templates and username not in settings.auth.users:
        return name, template
    return username, ""


def groups_of(auth: Auth, username: str, metadata: Mapping[str, Value]) -> tuple[str, ...]:
    """From the configuration, and from what was said about the user: names with commas or blanks between them."""
    said = [value.value for name, value in metadata.items() if name.upper() in GROUPS]
    names = (name for text in said for name in text.replace(",", " ").split())
    return tuple(dict.fromkeys((*auth.users.get(username, User()).groups, *names)))


def missed_by(rule: Rule, login: Login) -> str:
    """The condition of the rule that the login does not meet; empty: it meets all."""
    if rule.users and not any(fnmatchcase(login.username, pattern) for pattern in rule.users):
        return "users"
    if rule.groups and not any(fnmatchcase(group, one) for group in login.groups for one in rule.groups):
        return "groups"
    if rule.keys and login.key not in rule.keys:
        return "keys"
    if rule.addresses and not _is_from(login.host, rule.addresses):
        return "addresses"
    return ""


def matched(settings: Settings, login: Login) -> tuple[Rule, ...]:
    """The rules that the login meets, in the order of the file."""
    return tuple(rule for rule in settings.rules if not missed_by(rule, login))


def layers(settings: Settings, login: Login) -> Iterator[Layer]:
    """What lies over the file's settings, the undermost first."""
    for rule in matched(settings, login):
        if rule.settings:
            yield Layer(f"rule {rule.name}", rule.settings)
    if settings.templates.get(login.template):
        yield Layer(f"template {login.template}", settings.templates[login.template])


def choose(settings: Settings, login: Login, said: Mapping[str, Any] | None = None) -> Chosen:
    """`said`: what the configuration webhook lays over all the rest. The result keeps the rules of the file."""
    rules = matched(settings, login)
    chosen = Chosen(settings=settings, rules=tuple(rule.name for rule in rules), template=login.template)
    if login.template and not any(login.template in rule.templates for rule in rules):
        return unsettled(chosen, "template", f"no rule allows {login.template} to this login")
    over = [*layers(settings, login), *([Layer("the webhook", said)] if said else [])]
    if not over:
        return chosen
    result = settings
    for layer in over:
        result = overlaid(result, layer.part)
    problems = [str(problem) for problem in per_login_problems(result)]
    if problems:
        whose = ", ".join(layer.origin for layer in over)
        return unsettled(chosen, "config", f"by {whose}: {'; '.join(problems[:PROBLEMS_TOLD_MAX])}")
    return replace(chosen, settings=result)


def unsettled(chosen: Chosen, unsettled: Unsettled, why: str) -> Chosen:
    """Nothing will run. In mode connection each session hears at once of a container that there is not to be."""
    settings = overlaid(chosen.settings, {"docker": {"execution": {"mode": "connection"}}})
    return replace(chosen, settings=settings, unsettled=unsettled, why=why)


def _is_from(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in ip_network(network, strict=False) for network in networks)
