"""What one seed draws: settings, what goes wrong at the engine and when, and what the clients are like.

Swarm: each seed has weather of its own, with whole classes of trouble left out, because a run in which everything
fails never gets to what is rare.
"""

from random import Random
from typing import Literal, get_args

from msgspec import Struct

from moorage.testing.fake_container import FakeImage
from protocol.base import PERMANENT, FaultClass
from protocol.settings import Docker, Execution, ImagePullPolicy, Pool, Settings, Shutdown, Ssh, Timeouts
from protocol.settings_limits import AddressShare, Limits, LoginRate, Share

CLASSES: tuple[FaultClass, ...] = get_args(FaultClass)
TRANSIENT = tuple(fault for fault in CLASSES if fault not in PERMANENT)
CONTROL = (
    *("inspect_image", "create_container", "attach_container", "start_container", "kill_container"),
    *("resize_container", "remove_container", "list_containers", "create_exec", "start_exec", "inspect_exec"),
    *("resize_exec", "rename_container", "image_command", "container_image"),
)
UNBOUNDED = ("pull_image", "wait_container")
# What happens to the engine as a whole, or to one of its containers.
ENGINE_EVENTS = ("crash", "crash with live-restore", "out of memory", "removed by somebody else")
# What clients do besides logging in, running a program and reading what it says.
HABITS = (
    *("fails to log in", "never logs in", "sends env", "wants a terminal", "resizes", "sends signals"),
    *("asks for what there is not", "asks too late", "ends its input early", "closes early", "disconnects"),
    *("reads slowly", "goes silent", "floods", "opens many channels", "runs no program", "is refused"),
    *("wants a shell", "wants a subsystem", "runs for ever", "meets an error of ours"),
)
End = Literal["killed", "stopped", "stopped in haste", "fair"]


class Boot(Struct, frozen=True):
    """One life of the daemon: how many clients come, how long it is left alone, and how it ends."""

    clients: int
    seconds: float
    end: End


class Weather(Struct, frozen=True, kw_only=True):
    """`failpoints` are lines for the fake engine, `events` what happens to it and when after the start."""

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
    served: bool  # by the guest agent, or by the engine's execs
    habits: frozenset[str]
    tempo: float  # how long clients wait between two things they do


def draw(seed: int) -> Weather:
    """The weather of this seed, always the same."""
    dice = Random(f"weather {seed}")
    calm = dice.random() < 0.1
    image = dice.choice(("busybox:1", "busybox:1", "busybox"))
    broken = dice.random() < 0.15 and not calm
    boots = _boots(dice, calm)
    return Weather(
        seed=seed,
        settings=_settings(dice, image, calm),
        api=dice.choice(((1, 41), (1, 44))),
        jitter_s=dice.choice((0.0, 0.01, 0.2)),
        image=FakeImage(pull_seconds=dice.choice((0.0, 1.0, 8.0))),
        image_is_local=dice.random() < 0.7,
        registry=dice.choice(CLASSES) if broken else None,
        failpoints=() if calm else tuple(_failpoints(dice)),
        events=() if calm or dice.random() < 0.5 else tuple(_events(dice, sum(boot.seconds for boot in boots))),
        boots=boots,
        served=dice.random() < 0.5,
        habits=frozenset(habit for habit in HABITS if dice.random() < 0.4),
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
        idle_command=("/bin/sh", "-c", "trap : TERM; wait") if dice.random() < 0.5 else ("/bin/sleep", "infinity"),
    )
    pool = Pool(size=dice.choice((0, 0, 1, 3, "auto")), ttl=dice.choice((600.0, 2.0, 20.0)))
    return Settings(
        ssh=Ssh(login_grace=dice.choice((60.0, 3.0))),
        docker=Docker(execution=execution, timeouts=timeouts, pool=pool),
        shutdown=Shutdown(grace=dice.choice((20.0, 1.0, 0.0)), kill=dice.choice((5.0, 0.5))),
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
        total=dice.choice((0.0, 0.0, 8.0, 60.0)),
        warning=dice.choice((0.0, 1.0, 20.0)),
    )


def _failpoints(dice: Random) -> list[str]:
    many = dice.choice((0.0, 0.1, 0.3, 0.6))
    methods = [method for method in (*CONTROL, *UNBOUNDED) if dice.random() < many]
    lines = [f"{method}: {' -> '.join(_terms(dice, method))}" for method in methods]
    if dice.random() < 0.3:  # one thing that does not work at all
        method = dice.choice((*CONTROL, *UNBOUNDED))
        lines.append(f"{method}: {dice.choice(('', '60%'))}{_action(dice, method)}")
    return lines


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
            return f"delay({dice.choice((0.01, 0.3, 2.0, 20.0))})"
        case "late":
            return f"late({dice.choice((0.1, 2.0, 30.0))})"
    return "hang"


def _events(dice: Random, seconds: float) -> list[tuple[float, str]]:
    return sorted((dice.uniform(0, seconds), dice.choice(ENGINE_EVENTS)) for _ in range(dice.randrange(1, 5)))


def _boots(dice: Random, calm: bool) -> tuple[Boot, ...]:
    """Two daemons in nearly half of all seeds; the last one always ends in fair weather."""
    boots = []
    if not calm and dice.random() < 0.45:
        end: End = dice.choice(("killed", "stopped", "stopped in haste"))
        boots.append(Boot(dice.randrange(1, 5), dice.choice((0.05, 0.3, 1.1, 5.5, 15.0)), end))
    return (*boots, Boot(dice.randrange(0 if boots else 1, 5), dice.choice((1.0, 10.0, 40.0)), "fair"))
