"""What one seed draws about logins: who may come in and how, who is asked about it, and whose settings are others."""

from collections.abc import Mapping
from random import Random
from typing import Any

from moorage.testing.fake_web import Operator, key_line
from protocol.settings_auth import (
    AskWebhook,
    Auth,
    FailureLimit,
    KeyboardInteractive,
    KeysCommand,
    OAuth2,
    Oidc,
    User,
    Webhook,
)
from protocol.settings_rules import Rule
from protocol.settings_security import CommandPolicy, ForwardingPolicy, Mode, NamePolicy, Security, SwitchPolicy
from protocol.settings_services import ConfigServer

URL = "http://operator.invalid"
TOTP = "JBSWY3DPEHPK3PXP"
HASH = "$2b$12$" + "." * 53  # of everybody's password, says the simulation
# What customers log in as, and the newcomer. Eve is nobody; mia may come in by the webhooks alone.
NAMES = ("ann", "ann", "ann", "mia", "eve")
NEWCOMER = "bob"
TEMPLATES = ("gpu", "odd")
METHODS = (
    *((), (), (), ("publickey",), ("publickey,password",), ("password,totp", "publickey"), ("publickey,totp",)),
    *(
        ("oidc",),
        ("publickey", "password", "oidc"),
        ("oidc,totp", "publickey"),
        ("publickey,oidc",),
        ("password,oidc",),
    ),
    *(("password,publickey",), ("publickey,password,totp",)),
)


def draw_auth(dice: Random) -> Auth:
    """Half of all seeds have keys and nothing else: what comes after a login is the more."""
    return Auth(users=usual_users()) if dice.random() < 0.5 else _draw_ways(dice)


def usual_users() -> dict[str, User]:
    return {name: User(authorized_keys=(key_line(name),)) for name in ("ann", NEWCOMER)}


def draw_asked(dice: Random) -> tuple[Auth, ConfigServer]:
    """Everybody is asked who can be."""
    webhook = AskWebhook(method="webhook", webhook=Webhook(url=URL))
    only = {name: User() for name in ("ann", NEWCOMER)}
    auth = Auth(users=dice.choice((usual_users(), only)), password=webhook, public_key=webhook, authz=webhook)
    return auth, ConfigServer(url=f"{URL}/config", config_timeout=dice.choice((20.0, 0.5)))


def _draw_ways(dice: Random) -> Auth:
    ways = [methods for methods in METHODS if dice.random() < 0.5] or [()]
    has_oidc = any("oidc" in way for methods in ways for way in methods) or dice.random() < 0.2
    by_webhook = dice.random() < 0.5
    users = {
        name: User(
            authorized_keys=(key_line(name),) if dice.random() < 0.6 else (),
            password_hash="" if by_webhook and dice.random() < 0.7 else HASH,
            totp=TOTP if any("totp" in way for methods in ways for way in methods) or dice.random() < 0.2 else "",
            methods=dice.choice(ways),
            groups=("staff",) if dice.random() < 0.5 else (),
        )
        for name in ("ann", NEWCOMER)
    }
    seconds = dice.choice((60.0, 60.0, 5.0, 1.0))
    webhook = AskWebhook(
        method="webhook", webhook=Webhook(url=URL, auth_timeout=seconds, timeout=dice.choice((2.0, 0.3)))
    )
    keys_webhook = webhook if dice.random() < 0.6 or not all(user.authorized_keys for user in users.values()) else None
    oidc = Oidc(
        url=f"{URL}/realm",
        login_timeout=dice.choice((120.0, 20.0, 3.0)),
        timeout=dice.choice((10.0, 0.5)),
        enforce_username=dice.random() < 0.3,
    )
    return Auth(
        users=users,
        methods=dice.choice(ways) if dice.random() < 0.3 else (),
        authorized_keys_command=KeysCommand(command=("/bin/keys", "%u")) if dice.random() < 0.3 else KeysCommand(),
        password=webhook if by_webhook else AskWebhook(),
        public_key=keys_webhook or AskWebhook(),
        keyboard_interactive=KeyboardInteractive(method="oauth2", oauth2=OAuth2(client_id="m", oidc=oidc))
        if has_oidc
        else KeyboardInteractive(),
        authz=webhook if dice.random() < 0.4 else AskWebhook(),
        failures=FailureLimit(max=dice.choice((20, 2)), period=dice.choice((60.0, 5.0))),
    )


def draw_configserver(dice: Random) -> ConfigServer:
    if dice.random() < 0.65:
        return ConfigServer()
    return ConfigServer(
        url=f"{URL}/config", config_timeout=dice.choice((20.0, 3.0, 0.5)), timeout=dice.choice((2.0, 0.3))
    )


def draw_rules(dice: Random) -> tuple[tuple[Rule, ...], dict[str, dict[str, Any]]]:
    """Rules and templates. None of them is the newcomer's."""
    if dice.random() < 0.6:
        return (), {}
    mine = {"users": ("ann", "mia")}
    conditions: tuple[Mapping[str, Any], ...] = ({}, {"groups": ("staff",)}, {"addresses": ("192.0.2.0/29",)})
    rules = tuple(
        Rule(
            name=f"r{place}",
            **mine,
            **dice.choice(conditions),
            settings=draw_part(dice),
            templates=_some(dice, TEMPLATES),
        )
        for place in range(dice.randrange(1, 3))
    )
    return rules, {name: draw_part(dice) for name in TEMPLATES}


def draw_operator(dice: Random) -> Operator:
    parts = {name: draw_part(dice) for name in dict.fromkeys(NAMES) if dice.random() < 0.6}
    if dice.random() < 0.2:
        parts["ann"] = dice.choice(({"no": "such key"}, {"docker": {"execution": {"container": {"Image": ""}}}}))
    return Operator(
        strangers=frozenset({"eve"}),
        unauthorized=frozenset(_some(dice, ("ann", "mia"), 0.15)),
        aliases=dict.fromkeys(_some(dice, ("ann", "mia"), 0.15), "anna"),
        groups={"ann": "staff", "mia": "guests"} if dice.random() < 0.5 else {},
        parts={name: parts[name] for name in sorted(parts)},
    )


def draw_part(dice: Random) -> dict[str, Any]:
    """Settings that are laid over the file's, as `settings_read.read_part` gives them."""
    parts: tuple[dict[str, Any], ...] = (
        {},
        {"docker": {"execution": {"mode": "session"}}},
        {"docker": {"execution": {"mode": "connection"}}},
        {"docker": {"timeouts": {"containerStart": 5.0}}},
        {"docker": {"execution": {"imagePullPolicy": "Always"}}},
        {"security": {"tty": {"mode": "disable"}}},
        {"security": {"forceCommand": "exit 6"}},
        {"limits": {"total": 20.0}},
    )
    return dice.choice(parts)


def draw_security(dice: Random) -> Security:
    """Most seeds allow all; else a few things are refused, or all but a few."""
    if dice.random() < 0.55:
        return Security()
    modes: tuple[Mode, ...] = ("", "", "disable")

    def names(*names: str) -> NamePolicy:
        return NamePolicy(
            mode=dice.choice(("", "", "filter", "disable")), allow=_some(dice, names), deny=_some(dice, names, 0.2)
        )

    def switch() -> SwitchPolicy:
        return SwitchPolicy(mode=dice.choice(modes))

    return Security(
        default_mode=dice.choice(("", "", "", "filter", "disable")),
        force_command=dice.choice(("", "", "", "exit 6", "cat")),
        env=names("LANG"),
        command=CommandPolicy(
            mode=dice.choice(("", "", "filter", "disable")),
            allow_prefixes=("exit", "sleep", "cat", "head"),
            deny_patterns=_some(dice, ("*7", "sleep*"), 0.3),
        ),
        shell=switch(),
        subsystem=names("sftp"),
        tty=switch(),
        signal=names("TERM", "INT", "USR1"),
        forwarding=ForwardingPolicy(forwarding_mode=dice.choice(("disable", "enable"))),
        max_sessions=dice.choice((-1, -1, 0, 1, 2)),
    )


def _some(dice: Random, names: tuple[str, ...], chance: float = 0.5) -> tuple[str, ...]:
    return tuple(name for name in names if dice.random() < chance)
