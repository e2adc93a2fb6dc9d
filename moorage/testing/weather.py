"""What one seed draws: settings, what goes wrong at the engine and when, and what the clients are like.

Swarm: each seed has weather of its own, with whole classes of trouble left out, because a run in which everything
fails never gets to what is rare.
"""

from random import Random
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from actors.login import Rights
from moorage.testing.fake_agent import Whim
from moorage.testing.fake_container import FakeImage
from moorage.testing.fake_web import SERVICES, Operator
from moorage.testing.pounces import Pounce, draw_pounces
from moorage.testing.ways_drawn import (
    draw_asked,
    draw_auth,
    draw_configserver,
    draw_operator,
    draw_rules,
    draw_security,
    usual_users,
)
from protocol.base import PERMANENT, FaultClass
from protocol.settings import IDLE_COMMAND, Docker, Execution, ImagePullPolicy, Pool, Settings, Shutdown, Ssh, Timeouts
from protocol.settings_auth import Auth
from protocol.settings_limits import AddressShare, Limits, LoginRate, Share
from protocol.settings_security import NamePolicy, Security
from protocol.settings_services import ConfigServer

CLASSES: tuple[FaultClass, ...] = get_args(FaultClass)
TRANSIENT = tuple(fault for fault in CLASSES if fault not in PERMANENT)
CONTROL = (
    *("inspect_image", "create_container", "attach_container", "start_container", "kill_container"),
    *("resize_container", "remove_container", "list_containers", "create_exec", "start_exec", "inspect_exec"),
    *("resize_exec", "rename_container", "image_command", "container_image"),
)
UNBOUNDED = ("pull_image", "wait_container")
# What has to go wrong together, for each to be met in a state that the other makes.
MEETINGS: tuple[tuple[str, ...], ...] = (
    ("rename_container: 50%delay(1.0)", "wait_container: 3*50%fail(unavailable)"),
    ("rename_container: 50%fail(conflict)", "wait_container: 3*fail(unavailable) -> off"),
    ("rename_container: 50%delay(2.0)", "kill_container: delay(1.0)"),
    ("resize_exec: 60%delay(1.0) -> 3*fail(conflict)", "resize_container: 60%delay(1.0)"),
    ("resize_exec: 2*fail(conflict) -> 50%delay(0.2)", "resize_container: 2*fail(conflict) -> 50%fail(conflict)"),
    ("inspect_exec: 4*60%delay(1.0) -> 6*fail(unavailable)",),
    ("inspect_exec: 20*fail(unavailable)",),
    ("create_exec: 8*80%fail(unavailable)", "start_exec: 60%delay(1.0)"),
    ("start_exec: 60%delay(2.0)",),
    ("kill_container: 90%fail(unavailable)",),
    ("remove_container: 6*fail(unavailable)", "wait_container: 40%delay(1.0)"),
    ("wait_container: 60%delay(2.0)",),
    ("attach_container: 4*lose(unavailable)", "remove_container: 60%delay(1.0)"),
    ("start_container: 60%lose(unavailable)", "create_container: 40%delay(1.0)"),
)
# What happens to the engine as a whole, or to one of its containers.
ENGINE_EVENTS = ("crash", "crash with live-restore", "out of memory", "removed by somebody else", "streams break")
# What clients do besides logging in, running a program and reading what it says.
HABITS = (
    *(
        "fails to log in",
        "never logs in",
        "changes its mind",
        "sends env",
        "wants a terminal",
        "resizes",
        "sends signals",
    ),
    *("asks for what there is not", "asks too late", "ends its input early", "closes early", "disconnects"),
    *("reads slowly", "goes silent", "floods", "opens many channels", "runs no program", "is refused"),
    *("wants a shell", "wants a subsystem", "runs for ever", "meets an error of ours", "comes late", "fidgets"),
)
# Of these, the ones with which a client stays until its program has ended.
PATIENT = (
    *("sends env", "wants a terminal", "resizes", "sends signals", "asks for what there is not", "asks too late"),
    *("ends its input early", "opens many channels", "wants a shell", "wants a subsystem", "fidgets", "comes late"),
)
WHIMS: tuple[Whim, ...] = ("mute", "late", "late", "stranger", "ends")
TRAPPING = ("/bin/sh", "-c", "trap : TERM; wait")
IMAGES = ("busybox:1", "busybox:1", "busybox")
GRACE_S, KILL_S = (20.0, 1.0, 0.0), (5.0, 0.5)
End = Literal["killed", "stopped", "stopped in haste", "fair"]


class Boot(Struct, frozen=True):
    """One life of the daemon: how many clients come, how long it is left alone, and how it ends."""

    clients: int
    seconds: float
    end: End


class Weather(Struct, frozen=True, kw_only=True):
    """`failpoints` are lines for the fake engine, `events` what happens to it and when after the start.

    `services` are lines for the web services of `operator`; `reloads` are settings that come into force, and when, or
    None for ones that cannot be used. `rights` are what keys allow.
    """

    seed: int
    settings: Settings
    api: tuple[int, int]
    jitter_s: float
    image: FakeImage
    image_is_local: bool
    registry: FaultClass | None  # what a pull meets; None: the image
    failpoints: tuple[str, ...]
    events: tuple[tuple[float, str], ...]
    boots: tuple[Boot, ...]
    agent_whims: tuple[Whim, ...]
    pounces: tuple[Pounce, ...]
    served: bool  # by the guest agent, or by the engine's execs
    habits: frozenset[str]
    operator: Operator
    services: tuple[str, ...]
    rights: Rights
    reloads: tuple[tuple[float, Settings | None], ...]
    tempo: float  # how long clients wait between two things they do


def draw(seed: int) -> Weather:
    """The weather of this seed, always the same."""
    dice = Random(f"weather {seed}")
    calm = dice.random() < 0.1
    image = dice.choice(IMAGES)
    broken = dice.random() < 0.15 and not calm
    pounces = () if calm or dice.random() < 0.3 else draw_pounces(dice)
    boots = _boots(dice, calm, any(pounce.is_at_the_end for pounce in pounces))
    settings = _led(_settings(dice, image, calm), dice, pounces)
    links = any(pounce.state in ("LINKING", "UNLINKED", "SPAWNING") for pounce in pounces)
    seconds = sum(boot.seconds for boot in boots)
    return Weather(
        seed=seed,
        settings=settings,
        api=dice.choice(((1, 41), (1, 44))),
        jitter_s=dice.choice((0.0, 0.01, 0.2)),
        image=FakeImage(pull_seconds=dice.choice((0.0, 1.0, 8.0))),
        image_is_local=bool(pounces) or dice.random() < 0.7,
        registry=dice.choice(CLASSES) if broken and not pounces else None,
        failpoints=() if calm else tuple(_failpoints(dice, pounces)),
        events=() if calm or pounces or dice.random() < 0.5 else tuple(_events(dice, seconds)),
        boots=boots,
        served=dice.random() < (0.9 if links else 0.1 if any(pounce.is_of_execs for pounce in pounces) else 0.5),
        agent_whims=() if calm or dice.random() < (0.2 if links else 0.8) else _whims(dice),
        pounces=pounces,
        habits=_habits(dice, pounces),
        operator=draw_operator(dice),
        services=() if calm else tuple(_service_failpoints(dice, pounces)),
        rights=_rights(dice),
        reloads=() if calm or dice.random() < 0.7 else tuple(_reloads(dice, settings, seconds)),
        tempo=dice.choice((0.0, 0.05, 1.0)),
    )


def _settings(dice: Random, image: str, calm: bool) -> Settings:
    short = 60.0 if calm else dice.choice((0.2, 1.0))
    timeouts = Timeouts(
        container_start=dice.choice((60.0, 10.0, short)),
        container_stop=dice.choice((60.0, 5.0, short)),
        command_start=dice.choice((60.0, 5.0, short)),
        signal=dice.choice((60.0, 2.0, short)),
        window=dice.choice((60.0, 2.0, short)),
        http=dice.choice((15.0, 3.0)),
    )
    policies: tuple[ImagePullPolicy, ...] = get_args(ImagePullPolicy)
    execution = Execution(
        container={"Image": image},
        mode=dice.choice(("connection", "session")),
        image_pull_policy=dice.choice(policies),
        subsystems={"sftp": dice.choice(("/bin/cat", "/usr/lib/openssh/sftp-server"))},
        idle_command=dice.choice((IDLE_COMMAND, IDLE_COMMAND, TRAPPING, ("/bin/sleep", "infinity"))),
    )
    pool = Pool(size=dice.choice((0, 0, 1, 3, "auto")), ttl=dice.choice((600.0, 2.0, 20.0)))
    rules, templates = draw_rules(dice)
    return Settings(
        auth=draw_auth(dice),
        configserver=draw_configserver(dice),
        rules=rules,
        templates=templates,
        security=draw_security(dice),
        ssh=Ssh(login_grace=dice.choice((60.0, 3.0))),
        docker=Docker(execution=execution, timeouts=timeouts, pool=pool),
        shutdown=Shutdown(grace=dice.choice(GRACE_S), kill=dice.choice(KILL_S)),
        limits=Limits() if calm or dice.random() < 0.7 else _limits(dice),  # they end much before anything else can
    )


def _limits(dice: Random) -> Limits:
    return Limits(
        user=Share(
            connections=dice.choice((0, 0, 2)),
            containers=dice.choice((0, 0, 2)),
            sessions=dice.choice((0, 0, 3)),
            login_rate=LoginRate(logins=dice.choice((0, 0, 2)), period=10.0),
        ),
        address=AddressShare(connections=dice.choice((0, 0, 2))),
        idle=dice.choice((0.0, 0.0, 4.0, 30.0)),
        total=dice.choice((0.0, 0.0, 3.0, 8.0, 60.0)),
        warning=dice.choice((0.0, 1.0, 1.0, 20.0)),
    )


def _failpoints(dice: Random, pounces: tuple[Pounce, ...]) -> list[str]:
    """A moment that is waited for has to come: then little else goes wrong."""
    many = dice.choice((0.0, 0.1) if pounces else (0.0, 0.1, 0.3, 0.6))
    methods = [method for method in (*CONTROL, *UNBOUNDED) if dice.random() < many]
    lines = [f"{method}: {' -> '.join(_terms(dice, method))}" for method in methods]
    if dice.random() < 0.3 and not pounces:  # one thing that does not work at all
        method = dice.choice((*CONTROL, *UNBOUNDED))
        lines.append(f"{method}: {dice.choice(('', '60%'))}{_action(dice, method)}")
    if dice.random() < 0.3:  # things that seldom meet
        lines += dice.choice(MEETINGS)
    for pounce in pounces:
        lines += dice.choice(pounce.leads or ((),))
    return lines


def _whims(dice: Random) -> tuple[Whim, ...]:
    return ("", "", *(dice.choice(WHIMS) for _ in range(2)))


def _led(settings: Settings, dice: Random, pounces: tuple[Pounce, ...]) -> Settings:
    """With what the states and acts need that are to meet."""
    if pounces:
        auth = settings.auth if any(pounce.machine == "auth" for pounce in pounces) else Auth(users=usual_users())
        settings = replace(
            settings, auth=auth, configserver=ConfigServer(), rules=(), templates={}, security=Security()
        )
        start_s, command_s = dice.choice((60.0, 60.0, 3.0)), dice.choice((60.0, 60.0, 3.0))
        timeouts = Timeouts(container_start=start_s, command_start=command_s)
        docker = replace(settings.docker, timeouts=timeouts)
        settings = replace(settings, docker=docker, limits=Limits(), security=Security())
    for pounce in pounces:
        docker = settings.docker
        if pounce.machine == "timer":
            settings = replace(settings, limits=Limits(idle=2.0, warning=dice.choice((0.0, 1.0))))
        if pounce.machine in ("terminal", "signal") and dice.random() < 0.5:
            timeouts = replace(docker.timeouts, window=1.0, signal=1.0)
            docker = replace(docker, timeouts=timeouts)
            settings = replace(settings, docker=docker)
        if pounce.act == "limit":
            settings = replace(settings, limits=Limits(total=3.0, warning=1.0))
        if "claim" in pounce.act or pounce.state == "STOPPING":
            settings = replace(settings, docker=replace(docker, pool=Pool(size=2)))
        if pounce.act == "signal" and dice.random() < 0.5:
            settings = replace(settings, security=Security(signal=NamePolicy(mode="disable")))
        if pounce.act == "open" and dice.random() < 0.5:
            settings = replace(settings, security=Security(max_sessions=1))
        if pounce.machine == "session" and pounce.state in ("AWAITING_EXIT", "DRAINING") and dice.random() < 0.7:
            execution = replace(docker.execution, mode="session")
            settings = replace(settings, docker=replace(settings.docker, execution=execution))
        if pounce.is_of_execs or "claim" in pounce.act or (pounce.machine == "connection" and dice.random() < 0.7):
            execution = replace(docker.execution, mode="connection")
            settings = replace(settings, docker=replace(settings.docker, execution=execution))
        if pounce.service_leads:
            auth, server = draw_asked(dice)
            settings = replace(settings, auth=auth, configserver=server)
    return settings


def _habits(dice: Random, pounces: tuple[Pounce, ...]) -> frozenset[str]:
    """Where a moment is waited for, clients do not run away before."""
    if not pounces:
        return frozenset(habit for habit in HABITS if dice.random() < 0.4)
    wanted = {"runs for ever"} if any(pounce.is_at_the_end for pounce in pounces) else set()
    if any(pounce.act == "resize" or pounce.machine == "terminal" for pounce in pounces):
        wanted |= {"wants a terminal", "resizes"}
    if any(pounce.machine == "signal" or pounce.act == "signal" for pounce in pounces):
        wanted |= {"sends signals"}
    if any(pounce.machine == "session" and pounce.state == "DRAINING" for pounce in pounces):
        wanted |= {"reads slowly"}
    if any(pounce.act == "more" for pounce in pounces):
        wanted |= {"runs no program"}
    if any(pounce.machine == "auth" for pounce in pounces):
        wanted |= {"changes its mind", "fails to log in"}
    return frozenset({*wanted, *(habit for habit in PATIENT if dice.random() < 0.25)})


def _service_failpoints(dice: Random, pounces: tuple[Pounce, ...]) -> list[str]:
    many = dice.choice((0.0, 0.1, 0.4))
    methods = [method for method in (*SERVICES, "command") if dice.random() < many]
    leads = [line for pounce in pounces for line in pounce.service_leads]
    return [*(f"{method}: {' -> '.join(_terms(dice, method))}" for method in methods), *leads]


def _rights(dice: Random) -> Rights:
    if dice.random() < 0.8:
        return Rights()
    return Rights(pty=dice.random() < 0.5, forced_command=dice.choice((None, "exit 6")), environment={"BY": "key"})


def _reloads(dice: Random, settings: Settings, seconds: float) -> list[tuple[float, Settings | None]]:
    """The image changes, or all; or what is read cannot be used."""
    found: list[tuple[float, Settings | None]] = []
    for _ in range(dice.randrange(1, 4)):
        image = dice.choice(IMAGES)
        new = _settings(dice, image, calm=False)
        execution = replace(settings.docker.execution, container={"Image": image})
        same = replace(settings, docker=replace(settings.docker, execution=execution))
        found.append((dice.uniform(0, seconds + 5.0), dice.choice((new, same, same, None))))
    return sorted(found, key=lambda one: one[0])


def _terms(dice: Random, method: str) -> list[str]:
    terms = []
    for _ in range(dice.randrange(1, 4)):
        share = dice.choice(("", "", "10%", "40%", "70%"))
        terms.append(f"{dice.randrange(1, 6)}*{share}{_action(dice, method)}")
    return [*terms, "off"] if dice.random() < 0.7 else [*terms[:-1], terms[-1].partition("*")[2]]


def _action(dice: Random, method: str) -> str:
    """An answer that is lost is lost on the way; an engine that has understood us and says no has done nothing."""
    kinds = ("fail", "fail", "fail", "lose", "delay", "hang", *(("late",) if method in CONTROL else ()))
    match dice.choice(kinds):
        case "fail":
            return f"fail({dice.choice(CLASSES if dice.random() < 0.5 else TRANSIENT)})"
        case "lose":
            return f"lose({dice.choice(TRANSIENT)})"
        case "delay":
            return f"delay({dice.choice((0.2, 1.0, 2.0, 20.0))})"
        case "late":
            return f"late({dice.choice((0.1, 2.0, 30.0))})"
    return "hang"


def _events(dice: Random, seconds: float) -> list[tuple[float, str]]:
    return sorted((dice.uniform(0, seconds), dice.choice(ENGINE_EVENTS)) for _ in range(dice.randrange(1, 5)))


def _boots(dice: Random, calm: bool, stops: bool) -> tuple[Boot, ...]:
    """Two daemons in nearly half of all seeds; the last one always ends in fair weather."""
    boots = []
    if stops:
        boots.append(Boot(dice.randrange(2, 5), 15.0, dice.choice(("stopped", "stopped", "stopped in haste"))))
    elif not calm and dice.random() < 0.45:
        end: End = dice.choice(("killed", "stopped", "stopped in haste"))
        boots.append(Boot(dice.randrange(1, 5), dice.choice((0.05, 0.3, 1.1, 5.5, 15.0)), end))
    return (*boots, Boot(dice.randrange(0 if boots else 1, 5), dice.choice((1.0, 10.0, 40.0)), "fair"))
