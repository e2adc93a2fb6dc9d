"""The values that an event is tried with: one usual for each field, and what may differ."""

from collections.abc import Mapping
from typing import Any

from protocol.auth import Answered, AnswersGiven, AskFailed, AttemptMade, LoginBegun, NameGiven
from protocol.base import Event, Size
from protocol.connection import (
    Authenticated,
    AuthFailed,
    ConnectionOpened,
    Disconnected,
    RequestRefused,
    SessionEnded,
    TerminateWanted,
)
from protocol.container import ContainerExited, ContainerFailed, ContainerLanded, ContainerWanted
from protocol.image import ImageWanted, WaiterLeft
from protocol.limits import LimitReached
from protocol.session import (
    ChannelOpened,
    CommandForced,
    EnvOffered,
    ExecInspected,
    OddRequest,
    OutputEnded,
    ProgramExited,
    ProgramWanted,
    PtyWanted,
    SignalWanted,
    WindowChanged,
)
from protocol.signal import SignalDelivered, SignalOrdered
from protocol.terminal import SizeWanted, TerminalOpened
from protocol.timer import IdleMeasured, TimerStarted
from tests.fsm.specimens_server import OF_SERVER

Values = dict[str, Any]

BIG, SMALL, NONE = Size(columns=132, rows=43), Size(columns=80, rows=24), Size(columns=0, rows=0)
TERMED = ContainerExited(status=143)
FAILED = ContainerFailed(code="DOCKER_CONTAINER_START_FAILED", why="the container could not be started: no")
LANDED = ContainerLanded(container="ct", id="c0")
STARTED = TimerStarted(connection="cn", limit="idle", allowed_s=600.0, warns=True, seconds={"warn": 540.0})
OF_USER = LimitReached(what="connections", whose="user", may=2)
OF_ADDRESS = LimitReached(what="connections", whose="address", may=9)
CONTAINERS = LimitReached(what="containers", whose="user", may=1)
LOGINS = LimitReached(what="logins", whose="address", may=5, period_s=60.0, wait_s=12.0)
OWN = {"mode": "session", "container": "ct", "landed": "c0", "target": "c0"}
SERVED = {"served": True, "runs_in": "ct", "target": "12"}
PTY = {"pty": True, "size": SMALL, "terminal": "ss-tty"}


FIELDS: Values = {
    "session": "ss", "connection": "cn", "container": "ct", "owner": "cn", "image": "busybox:1", "platform": "",
    "policy": "IfNotPresent", "mode": "connection", "id": "c1", "why": "no", "code": "DOCKER_CONTAINER_START_FAILED",
    "line": "1 of 2 MB", "status": 7, "remote": "192.0.2.1:40000", "username": "ann", "method": "publickey",
    "what": "x11-req", "name": "orphan", "image_id": "sha256:0", "waiter": "w1", "reference": "busybox:1",
    "can_size_first": False, "term": "xterm", "size": BIG, "program": "exec", "signal": "TERM", "exec": "e1",
    "listen": ("127.0.0.1:2222",), "asked_by": "SIGHUP", "changes": ("state: added",), "attempt": 3,
    "factor": "password", "sources": ("users", "webhook"), "verdict": "yes", "authorizes": False, "configures": False,
    "ways": (("password",),),
    "origin": "key", "pid": 12, "spare": "sp", "target": "exec", "fault": "unavailable", "dice": 0.5,
    "limit": "idle", "allowed_s": 600.0, "warns": True, "idle_s": 540.0,
}  # fmt: skip

VARIANTS: dict[type[Event], Mapping[str, Values]] = {
    ConnectionOpened: {"session mode": {"mode": "session"}, "enough of its address": {"reached": OF_ADDRESS}},
    Authenticated: {
        "as it connected": {"mode": "", "image": ""},
        "session mode": {"mode": "session", "image": "other:1"},
        "may not choose": {"unsettled": "template", "template": "gpu", "rules": ("lab",)},
        "no settings": {"unsettled": "config"},
        "with a timer": {"timers": {"ti-idle": STARTED}},
        "enough of its user": {"reached": OF_USER},
        "enough containers": {"reached": CONTAINERS},
        "too soon": {"reached": LOGINS},
    },
    TimerStarted: {"total": {"limit": "total"}, "nobody is warned": {"warns": False}},
    IdleMeasured: {"something moved": {"idle_s": 41.5}},
    TerminateWanted: {"by a limit": {"by": "MOORAGE_LIMIT_TOTAL"}},
    LoginBegun: {"authorizes": {"authorizes": True}, "configures": {"configures": True}},
    NameGiven: {},
    AttemptMade: {
        "a code": {"factor": "totp"},
        "with a budget": {"seconds": 60.0},
        "flawed": {"flaw": "its signature is wrong"},
        "nobody to ask": {"sources": ()},
        "limited": {"limited": True},
        "a key is asked about": {"factor": "publickey", "probe": True, "by": "SHA256:0"},
    },
    AskFailed: {"another's": {"attempt": 2}},
    AnswersGiven: {"limited": {"limited": True}},
    Answered: {
        "no": {"verdict": "no", "why": "the password does not fit"},
        "shown": {"verdict": "shown", "wait": 5.0},
        "pending": {"verdict": "pending", "wait": 5.0},
        "another's": {"attempt": 2},
        "another name": {"username": "bob"},
        "her own name": {"username": "ann"},
    },
    AuthFailed: {},
    Disconnected: {"in order": {"why": ""}, "no ssh": {"cause": "not_ssh"}, "silent": {"cause": "silent"}},
    SessionEnded: {"another's": {"session": "s3"}},
    ContainerExited: {"by TERM": {"status": 143}, "out of memory": {"status": 137, "oom": True}},
    ContainerWanted: {"session mode": {"mode": "session"}, "served": {"link": "socket"}},
    ContainerLanded: {"served": {"served": True}},
    ProgramExited: {"by a signal": {"signal": "SEGV", "core": True, "status": 0}},
    ImageWanted: {
        "Always": {"policy": "Always"},
        "Never": {"policy": "Never"},
        "latest": {"reference": "busybox:latest"},
        "latest, Never": {"reference": "busybox:latest", "policy": "Never"},
        "no tag": {"reference": "busybox"},
        "no tag, a port": {"reference": "registry:5000/busybox"},
        "tag and port": {"reference": "registry:5000/busybox:1"},
        "digest": {"reference": "busybox@sha256:" + "0" * 64},
        "another waiter": {"waiter": "w3"},
    },
    WaiterLeft: {"another's": {"waiter": "w3"}},
    ChannelOpened: {
        "session mode": {"mode": "session"},
        "sizes first": {"can_size_first": True},
        "nothing to run in": {"failed": FAILED},
    },
    EnvOffered: {
        "not taken": {"taken": False, "why": "too many"},
        "forbidden": {"taken": False, "why": "no", "refused_by": "security"},
    },
    PtyWanted: {"forbidden": {"refused_by": "security"}},
    OddRequest: {"forbidden": {"refused_by": "security"}, "another forbidden": {"what": "y", "refused_by": "security"}},
    CommandForced: {},
    RequestRefused: {
        "by the policy": {"refused_by": "forwarding"},
        "reverse": {"refused_by": "reverse_forwarding"},
        "enough": {"refused_by": "max_sessions"},
        "limits": {"refused_by": "limits"},
    },
    ProgramWanted: {
        "shell": {"program": "shell"},
        "subsystem": {"program": "subsystem"},
        "not admitted": {"admitted": False, "why": "a NUL"},
        "subsystem not admitted": {"program": "subsystem", "admitted": False, "why": "not in the map"},
        "forbidden": {"admitted": False, "why": "no", "refused_by": "security"},
        "shell forbidden": {"program": "shell", "admitted": False, "why": "no", "refused_by": "security"},
        "subsystem forbidden": {"program": "subsystem", "admitted": False, "why": "no", "refused_by": "security"},
        "commands off": {"admitted": False, "why": "no", "refused_by": "dockerrun"},
        "one too many": {"admitted": False, "why": "no", "refused_by": "limits"},
        "too long for env": {"admitted": False, "why": "no", "refused_by": "environment"},
    },
    WindowChanged: {"of zero": {"size": NONE}, "of no height": {"size": Size(columns=80, rows=0)}},
    SignalWanted: {"forbidden": {"refused_by": "security"}},
    OutputEnded: {"broken": {"error": "reset by peer"}},
    ExecInspected: {
        "runs": {"status": None},
        "by 143": {"status": 143},
        "killed": {"status": 137},
        "out of memory": {"status": 137, "oom": True},
    },
    SignalDelivered: {},
    SignalOrdered: {},
    SizeWanted: {},
    TerminalOpened: {"no size": {"size": None}, "container": {"target": "container"}},
    **OF_SERVER,
}
# Every variant of these with every cell; of the others each variant with the usual cell, the usual one with every cell.
