"""What would become of a login, told without one: the rules that it meets, its ways in, the settings it would have.

Nothing is started and nobody is asked, but for the configuration webhook where that is wanted.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TextIO

import trio
from msgspec import Struct
from msgspec.structs import replace

from actors.bridge import open_loop
from actors.login import Client, Grant, KeyOffer
from actors.ports import OutsideFault
from actors.sources import Sources
from actors.ssh.auth import Keyring
from fsm import policy
from protocol.hardening import hardened
from protocol.rules import Chosen, Layer, Login, choose, groups_of, layers, missed_by, split_name, unsettled
from protocol.settings import Execution, Settings
from protocol.settings_limits import Limits
from protocol.settings_secrets import part_without_secrets
from protocol.settings_security import NamePolicy, Security
from protocol.ways import usual_factors, ways_of

LIMITS = ("Memory", "MemoryReservation", "MemorySwap", "NanoCpus", "CpuQuota", "CpuPeriod", "CpuShares", "CpusetCpus",
          "PidsLimit", "Ulimits", "BlkioWeight", "StorageOpt", "ShmSize")  # fmt: skip
VOLUMES = ("Binds", "Mounts", "Tmpfs", "VolumesFrom")
COLUMN = 12


class Question(Struct, frozen=True, kw_only=True):
    """`key` is the text of a .pub file; `command` None: a shell is asked for."""

    username: str
    host: str = ""
    key: str | None = None
    groups: tuple[str, ...] = ()
    command: str | None = None
    asks: bool = False


class BadQuestion(Exception):
    """It cannot be answered; the text is one sentence."""


class Told(Struct):
    """The answer as it grows: labelled lines, and whether the login gets what it asks for."""

    lines: list[tuple[str, str]] = []
    is_served: bool = True

    def say(self, label: str, *texts: str) -> None:
        self.lines += [(label if place == 0 else "", text) for place, text in enumerate(texts)]

    def refuse(self, label: str, text: str) -> None:
        self.say(label, text)
        self.is_served = False


def explain_login(settings: Settings, question: Question, out: TextIO) -> int:
    """`moorage explain`. 0: such a login would be served, 1: it would be refused. Raises `BadQuestion`."""
    if question.host:
        try:
            ip_address(question.host)
        except ValueError:
            raise BadQuestion(f"{question.host!r} is no address") from None
    told = Told()
    name, template = split_name(settings, question.username)
    key = _key(told, settings, name, question)
    login = Login(
        username=name,
        groups=tuple(dict.fromkeys((*groups_of(settings.auth, name, {}), *question.groups))),
        key=key,
        host=question.host,
        template=template,
    )
    head = Told()
    _who(head, settings, login)
    told.lines, told.is_served = [*head.lines, *told.lines], told.is_served and head.is_served
    _rules(told, settings, login)
    chosen, over = _chosen(told, settings, login, question)
    if chosen.unsettled:
        told.refuse("refused", chosen.why)
    else:
        _container(told, chosen.settings.docker.execution, chosen.settings.limits, over)
        _policy(told, chosen.settings, question)
    for label, text in told.lines:
        out.write(f"{label:{COLUMN}}{text}".rstrip() + "\n")
    return 0 if told.is_served else 1


def _who(told: Told, settings: Settings, login: Login) -> None:
    auth = settings.auth
    is_known = login.username in auth.users
    told.say("user", login.username if is_known else f"{login.username}, not in the configuration")
    if login.groups:
        told.say("groups", ", ".join(login.groups))
    if login.template:
        told.say("template", login.template)
    told.say("from", login.host or "anywhere: rules about addresses are not met")
    if not is_known and not usual_factors(replace(auth, users={})):
        told.refuse("ways in", "none: nobody else is asked about names")
        return
    told.say("ways in", *(", then ".join(way) for way in ways_of(auth, login.username)))


def _key(told: Told, settings: Settings, username: str, question: Question) -> str:
    """The fingerprint, and whether the configuration lets the key in."""
    if question.key is None:
        return ""
    auth = settings.auth
    shown = Keyring(auth).shown(username, _blob(question.key), question.host)
    if shown is None:
        raise BadQuestion("the key is of no type that is known here")
    judgement = shown.offer.by_users()
    others = ["authorizedKeysCommand"] if auth.authorized_keys_command.command else []
    others += ["the webhook"] if auth.public_key.method else []
    told.say("key", shown.offer.fingerprint)
    if revoked := _revoked(shown.offer):
        told.refuse("", f"is not let in: {revoked}")
    elif not isinstance(judgement, str):
        told.say("", "is let in by the configuration")
        limits = {"no terminal": judgement.pty, "no forwarding": judgement.port_forwarding}
        told.say("", *(text for text, may in limits.items() if not may))
        if judgement.forced_command is not None:
            told.say("", f"its own command runs: {judgement.forced_command}")
    elif others:
        told.say("", f"is for {' and '.join(others)} to judge ({judgement})")
    else:
        hint = "" if question.host else " (--from was not given)"
        told.refuse("", f"is not let in: {judgement}{hint}")
    return shown.offer.fingerprint


def _revoked(key: KeyOffer) -> str:
    try:
        return "" if key.revoked is None else key.revoked()
    except (OSError, ValueError) as error:
        return f"the revoked keys cannot be read: {getattr(error, 'strerror', None) or error}"


def _blob(text: str) -> bytes:
    if "PRIVATE KEY-----" in text:
        raise BadQuestion("that is a private key; give the .pub file")
    for word in text.split():
        if word.startswith("AAAA"):
            try:
                return base64.b64decode(word, validate=True)
            except binascii.Error:
                break
    raise BadQuestion("that is no public key: a line as in authorized_keys is wanted")


def _rules(told: Told, settings: Settings, login: Login) -> None:
    lines = []
    for rule in settings.rules:
        missed = missed_by(rule, login)
        allows = f", allows {', '.join(rule.templates)}" if rule.templates else ""
        lines.append(f"{rule.name}: no, by its {missed}" if missed else f"{rule.name}: matches{allows}")
    told.say("rules", *(lines or ["none"]))


def _chosen(told: Told, settings: Settings, login: Login, question: Question) -> tuple[Chosen, list[Layer]]:
    chosen, over = choose(settings, login), list(layers(settings, login))
    url = settings.configserver.url
    if not url or chosen.unsettled:
        return chosen, over
    if not question.asks:
        told.say("webhook", f"{url} has the last word, and is not asked (--ask)")
        return chosen, over
    part, why = trio.run(_asked, settings, login)
    if part is None:
        told.say("webhook", url)
        return unsettled(chosen, "config", why), over
    told.say("webhook", f"{url} has answered")
    return choose(settings, login, part), [*over, Layer("the webhook", part)]


async def _asked(settings: Settings, login: Login) -> tuple[Mapping[str, Any] | None, str]:
    """What the webhook says, or None and why there is nothing to use."""
    client = Client(connection="0" * 32, remote=f"{login.host or '0.0.0.0'}:0", version="SSH-2.0-Moorage_explain")
    sources = Sources(settings.auth, configserver=settings.configserver)
    async with open_loop(lambda context: None):
        try:
            grant = Grant(username=login.username, by=login.key)
            said = await sources.configure(client, login.username, grant, login.template)
        except OutsideFault as fault:
            return None, fault.why
        finally:
            await sources.close()
    return (said.part, "") if said.verdict == "yes" else (None, said.why)


def _container(told: Told, execution: Execution, limits: Limits, over: list[Layer]) -> None:
    leaves = [f"{line} ({layer.origin})" for layer in over for line in _leaves(part_without_secrets(layer.part), "")]
    told.say("settings", *(leaves or ["the file's own"]))
    told.say("image", f"{execution.container['Image']}, pulled {execution.image_pull_policy}")
    told.say("container", f"one for each {execution.mode}")
    host = hardened(execution)  # as the engine is asked for it
    bounds = [f"{name} {host[name]}" for name in LIMITS if host.get(name)]
    told.say("limits", *([*bounds, *_usual_bounds(limits)] or ["none"]))
    told.say("hardening", execution.hardening, *(f"not {part}" for part in execution.hardening_off))
    told.say("", *(f"dangerous: {what}" for what in execution.allow_dangerous))
    networks = execution.network.get("EndpointsConfig")
    told.say("network", str(host.get("NetworkMode") or (", ".join(networks) if networks else "the engine's default")))
    volumes = [f"{name}: {host[name]}" for name in VOLUMES if host.get(name)]
    told.say("volumes", *(volumes or ["none"]))


def _usual_bounds(limits: Limits) -> Iterator[str]:
    """Those of the `limits` section that are on."""
    for whose, share in (("a user", limits.user), ("an address", limits.address)):
        for what in ("connections", "sessions", "containers"):
            if bound := getattr(share, what):
                yield f"{bound} {what} of {whose} at a time"
        if share.login_rate.logins:
            yield f"{share.login_rate.logins} logins of {whose} in {share.login_rate.period:g} s"
    if limits.idle:
        yield f"{limits.idle:g} s without a byte"
    if limits.total:
        yield f"{limits.total:g} s in all"


def _leaves(tree: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            shown = "taken away" if value is None else json.dumps(value, ensure_ascii=False)
            yield f"{path}{key} = {shown}"


def _policy(told: Told, settings: Settings, question: Question) -> None:
    security = settings.security
    told.say("policy", *_modes(security))
    command = question.command
    refusal = policy.program_refusal(settings, "shell" if command is None else "exec", (command or "").encode())
    label = "shell" if command is None else "command"
    if refusal.why:
        told.refuse(label, f"is refused: {refusal.why}")
    elif security.force_command:
        told.say(label, f"is replaced by security.forceCommand: {security.force_command}")
    else:
        told.say(label, "may run")


def _modes(security: Security) -> list[str]:
    """What is not simply allowed, a line each."""
    usual, lines = security.default_mode or "enable", []
    for name in ("shell", "tty", "command", "subsystem", "env", "signal"):
        section = getattr(security, name)
        mode = section.mode or usual
        lists = [key for key in section.__struct_fields__ if key != "mode" and getattr(section, key)]
        if mode != "enable" or (isinstance(section, NamePolicy) and lists):
            lines.append(f"{name}: {', with '.join([mode, *([', '.join(lists)] if lists else [])])}")
    if security.max_sessions >= 0:
        lines.append(f"maxSessions: {security.max_sessions}")
    return lines or ["all is allowed but forwarding"]


def read_key(path: Path) -> str:
    """Raises OSError, BadQuestion."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise BadQuestion("that is no public key: a line as in authorized_keys is wanted") from None
