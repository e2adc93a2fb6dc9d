"""Where arrivals become actors: connections and sessions from the SSH side, containers and images for them."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any

import trio
from msgspec.structs import replace

from actors.actor import Actor
from actors.admission import Admission, host_of
from actors.auth import AuthActor
from actors.connection import ConnectionActor
from actors.container import ContainerActor
from actors.engine.orders import CONSOLE_SIZE_SINCE, platform_text
from actors.image import ImageActor
from actors.images import Images
from actors.login import Client, LoginTransport
from actors.orders import idle_container, may_be_served, program_argv, program_container, program_env
from actors.pool import Pool
from actors.ports import (
    AgentLink,
    Channel,
    ConnectionPort,
    ContainerOrder,
    FoundContainer,
    ImageCommand,
    Mailbox,
    Transport,
)
from actors.recorder import Recording
from actors.session import SessionActor
from actors.signal import SignalActor
from actors.sources import Sources
from actors.spare import SpareActor
from actors.terminal import TerminalActor
from actors.timer import TimerActor
from actors.world import World
from fsm import limits
from fsm.policy import ChannelRefusal
from protocol import codes
from protocol.auth import LoginBegun
from protocol.connection import ConnectionOpened, LandContainer, SessionOpened, ShimFailed, StartTimer
from protocol.container import ContainerClaimed, ContainerWanted, Link, OrphanFound, StopWanted
from protocol.session import ChannelOpened, OpenTerminal, OrderSignal
from protocol.settings import Settings
from protocol.spare import HandOver, SpareWanted
from protocol.timer import TimerStopped

# Beyond this a client is not working but counting; sshd's default is 10, a busy ControlMaster needs more.
SESSIONS_MAX = 256
FAREWELL_S = 10.0
CLOSE_S = 10.0
EXIT_CODE_S = 60.0
TOLD_AGAIN_S = 10.0
LINK_S = 2.0  # the engine tells of the end of a container whose agent is gone within milliseconds


class Supervisor:
    """Implements `ports.Supervisor` for the SSH side. `draining` is set when the server stops accepting."""

    def __init__(self, world: World, settings: Settings, sources: Sources | None = None) -> None:
        self.world, self.settings = world, settings
        self.sources = sources or Sources(settings.auth, configserver=settings.configserver)
        self.draining = False
        self.admission = Admission()
        self._images = Images(world)
        self._turned_away, self._turned_away_told = 0, -inf
        self.pool = Pool(world, lambda: self.settings, self._may_wait, self._make_spare)
        world.on_crash = self._clean_up
        world.on_left = lambda actor: self.admission.counts.release(actor.id)

    def adopt(self, settings: Settings, sources: Sources) -> None:
        """For connections from now on; those that are there keep what they have."""
        sources.go_on(self.sources)
        old, self.settings, self.sources = self.sources, settings, sources
        self.pool.adopt()
        self.world.start(self._close_late, old)

    async def _close_late(self, sources: Sources) -> None:
        """When the last connection that was accepted with them has gone."""
        try:
            while self._are_asked(sources):  # noqa: ASYNC110  # nobody is in a hurry for it
                await trio.sleep(CLOSE_S)
        finally:
            with trio.CancelScope(shield=True):
                await sources.close()

    def _are_asked(self, sources: Sources) -> bool:
        return any(isinstance(a, ConnectionActor) and a.sources is sources for a in self.world.actors.values())

    # From the SSH side (ports.Supervisor)

    def connection_made(self, transport: Transport, remote: str) -> ConnectionActor:
        """A connection was accepted: its new actor, which has its first event already."""
        connection = self.world.fresh_id()
        recording, settings = self.world.recorder.open(connection), self.settings
        about = {"connectionId": connection, "remoteAddr": remote}
        actor = ConnectionActor(self, f"cn-{connection[:12]}", recording, about, transport, connection, settings)
        execution = settings.docker.execution
        opened = ConnectionOpened(
            connection=connection,
            remote=remote,
            mode=execution.mode,
            image=execution.container["Image"],
            container=f"moorage-{connection[:12]}",
            seconds={"login_grace": _login_grace(settings), "farewell": FAREWELL_S, "close": CLOSE_S},
            reached=self.admission.connection(actor.id, remote, settings),
        )
        self.world.spawn(actor, opened)
        return actor

    def login_begun(self, connection: ConnectionPort, transport: LoginTransport, version: str) -> AuthActor:
        """A client begins to log in: its new auth actor, which has its first event already."""
        assert isinstance(connection, ConnectionActor)
        about, settings = connection.about, connection.settings
        auth, server = settings.auth, settings.configserver
        client = Client(connection=connection.connection, remote=about["remoteAddr"], version=version)
        id = f"au-{connection.connection[:12]}"
        actor = AuthActor(self.world, id, connection.ledger, about, transport, client, connection.sources, settings)
        seconds = {
            "authorize": auth.authz.webhook.auth_timeout,
            "device": auth.keyboard_interactive.oauth2.oidc.login_timeout,
            "configure": server.config_timeout,
        }
        begun = LoginBegun(
            connection=connection.id,
            remote=about["remoteAddr"],
            authorizes=bool(auth.authz.method),
            configures=bool(server.url),
            seconds=seconds,
        )
        self.world.spawn(actor, begun)
        return actor

    def may_open(self, connection: ConnectionPort) -> ChannelRefusal:
        """Without a sentence it may."""
        assert isinstance(connection, ConnectionActor)
        if self.draining:
            return ChannelRefusal(codes.DOCKER_CONTAINER_SHUTTING_DOWN.user)
        if connection.cell.passed is not None:
            return ChannelRefusal(connection.cell.passed.why)
        if connection.open_now >= SESSIONS_MAX:
            return ChannelRefusal(f"too many sessions: a connection may have {SESSIONS_MAX} open at once")
        limit = self.admission.may_open(connection)
        return ChannelRefusal() if limit is None else ChannelRefusal(limits.with_code(limit), "limits")

    def session_opened(self, connection: ConnectionPort, channel: Channel) -> SessionActor:
        """A session channel opens: its new actor, which has its first event already."""
        assert isinstance(connection, ConnectionActor)
        connection.opened += 1
        number, short, settings = connection.opened, connection.connection[:12], connection.settings
        # `about` is the connection's own dict: the login may still be adding the user's name.
        actor = SessionActor(
            self, f"ss-{short}-{number}", connection.ledger, connection.about, channel, settings, connection.files
        )
        timeouts, execution = settings.docker.timeouts, settings.docker.execution
        opened = ChannelOpened(
            session=actor.id,
            connection=connection.id,
            container=f"moorage-{short}-{number}",
            image=execution.container["Image"],
            mode=execution.mode,
            can_size_first=self.world.engine.api >= CONSOLE_SIZE_SINCE,
            seconds={
                "command_start": timeouts.command_start,
                "exit_code": EXIT_CODE_S,
                "close": CLOSE_S,
                "window": timeouts.window,
                "signal": timeouts.signal,
            },
            failed=None if connection.reached is None else limits.failure(connection.reached),
        )
        self.admission.session(connection, actor.id)
        self.world.spawn(actor, opened)
        connection.post(SessionOpened(session=actor.id))
        return actor

    def turned_away(self) -> None:
        """Said at most once in a while, with how many: the flood that causes it must not fill the log."""
        self._turned_away += 1
        if trio.current_time() >= self._turned_away_told + TOLD_AGAIN_S:
            self.world.say(codes.MOORAGE_STARTUPS_FULL, {"turnedAway": self._turned_away})
            self._turned_away, self._turned_away_told = 0, trio.current_time()

    def crashed(self, connection: Mailbox | None, why: str) -> None:
        """An error of ours somewhere in the shim."""
        if connection is None:
            self.world.say(codes.MOORAGE_SHIM_FAILED, {"error": why})
        else:
            connection.post(ShimFailed(why=why))

    # From the actors

    def land_idle(self, owner: ConnectionActor, effect: LandContainer) -> None:
        """Mode connection: the container that the sessions' programs run in."""
        if not self._claims_spare(owner, effect):
            self._land(owner, effect, self._idle(owner.settings, effect, self._labels(owner.about)), None)

    def _claims_spare(self, owner: ConnectionActor | SessionActor, effect: LandContainer) -> bool:
        """Not for a login that brings files: they are to be there before anything runs, and spares run."""
        if owner.files:
            return False
        return self.pool.claim(owner.id, effect.container, owner.settings)

    def _idle(self, settings: Settings, effect: LandContainer, labels: dict[str, str]) -> ContainerOrder:
        token = self._token(effect.container)
        return idle_container(settings.docker.execution, effect.container, token, effect.image, labels)

    def land_program(self, owner: SessionActor, effect: LandContainer) -> None:
        """Mode session: the container whose main program is the session's, or that of the agent that serves it."""
        execution = owner.settings.docker.execution
        if self._link(owner.settings) != "none":
            if not self._claims_spare(owner, effect):
                self._land(owner, effect, self._idle(owner.settings, effect, self._labels(owner.about)), owner)
            return
        order = program_container(
            execution,
            effect.container,
            self._token(effect.container),
            effect.image,
            self._labels(owner.about),
            program_argv(execution, owner.cell.program, owner.vault),
            program_env(execution, owner.vault, effect.tty),
            effect.tty,
            effect.size,
        )
        self._land(owner, effect, order, owner)

    def link_of(self, container: str) -> AgentLink | None:
        """To the guest agent in this actor's container; None when it is gone."""
        actor = self.world.actors.get(container)
        return actor.link if isinstance(actor, ContainerActor) else None

    def command_of(self, container: str) -> ImageCommand:
        """What its image runs by itself."""
        actor = self.world.actors.get(container)
        return actor.image_command if isinstance(actor, ContainerActor) else ImageCommand()

    def open_terminal(self, owner: SessionActor, effect: OpenTerminal) -> None:
        self.world.spawn(TerminalActor(self.world, effect.terminal, owner.ledger, owner.about), effect.opened)

    def order_signal(self, owner: SessionActor, effect: OrderSignal) -> None:
        self.world.spawn(SignalActor(self.world, effect.actor, owner.ledger, owner.about), effect.ordered)

    def start_timer(self, owner: ConnectionActor, effect: StartTimer) -> None:
        timer = TimerActor(self.world, effect.timer, owner.ledger, owner.about, owner.idle_s)
        self.world.spawn(timer, effect.started)

    # For the pool

    def _make_spare(self, wanted: SpareWanted, settings: Settings, on_step: Callable[[SpareActor], None]) -> SpareActor:
        about: dict[str, Any] = {"spare": wanted.spare, "image": wanted.image}
        log = self.world.recorder.share()
        spare = SpareActor(self.world, wanted.spare, log, about, settings, self._land_spare, self._hand_over, on_step)
        self.world.spawn(spare, wanted)
        return spare

    def _land_spare(self, spare: SpareActor, effect: LandContainer) -> None:
        self._land(spare, effect, self._idle(spare.settings, effect, self._own_labels()), None)

    def _hand_over(self, spare: SpareActor, effect: HandOver) -> None:
        """Its log lines and its recording are the owner's from now on."""
        owner, container = self.world.actors.get(effect.owner), self.world.actors.get(effect.container)
        if not isinstance(owner, ConnectionActor | SessionActor) or container is None:
            self.world.post(effect.container, StopWanted(why="its login has gone"))
            return
        recording = owner.ledger
        assert isinstance(recording, Recording)
        recording.enlist(container.id)
        recording.join(spare.ledger)
        container.about.update({**owner.about, "container": effect.name})
        container.post(ContainerClaimed(owner=effect.owner, container=effect.name))

    # From the sweep

    def owned(self) -> set[str]:
        """Tokens of the containers that an actor of this process looks after, or a probe of the guest agent."""
        own = {actor.order.token for actor in self.world.actors.values() if isinstance(actor, ContainerActor)}
        return own if self.world.agents is None else own | self.world.agents.probes

    def adopt_orphan(self, found: FoundContainer, token: str, why: str) -> bool:
        """Remove what a crash left, with all the patience of an ordinary removal. False: that is under way."""
        id = f"orphan-{found.name}"
        if id in self.world.actors:
            return False
        about = {"connectionId": found.labels.get("containerssh_connection_id", ""), "containerId": found.id}
        order = ContainerOrder(name=found.name, token=token, image="")
        actor = ContainerActor(self.world, id, self.world.recorder.open(id), about, order)
        seconds = {"container_remove": self.settings.docker.timeouts.container_stop}
        self.world.spawn(actor, OrphanFound(id=found.id, container=id, name=found.name, why=why, seconds=seconds))
        return True

    # Within

    def _may_wait(self, settings: Settings) -> bool:
        """In mode session a spare is of use to an agent only: without one its program is the container's own."""
        return settings.docker.execution.mode == "connection" or self._link(settings) != "none"

    def _link(self, settings: Settings) -> Link:
        """How programs are started with these settings."""
        agents = self.world.agents
        return "none" if agents is None or not may_be_served(settings.docker.execution) else agents.kind

    def _land(
        self, owner: ConnectionActor | SessionActor | SpareActor, effect: LandContainer, order: ContainerOrder,
        session: SessionActor | None,
    ) -> None:  # fmt: skip
        settings = owner.settings
        if not isinstance(owner, SpareActor):
            order = replace(order, files=owner.files)
        execution, timeouts = settings.docker.execution, settings.docker.timeouts
        seconds = {
            "container_start": timeouts.container_start,
            "container_stop": min(timeouts.container_stop, settings.shutdown.kill),
            "container_remove": timeouts.container_stop,
            "link": LINK_S,
        }
        if session is not None:
            seconds["command_start"] = timeouts.command_start
        wanted = ContainerWanted(
            container=effect.container,
            owner=owner.id,
            image=effect.image,
            platform=platform_text(execution.platform),
            policy=execution.image_pull_policy,
            mode=execution.mode,
            seconds=seconds,
            link=self._link(settings),
        )
        pump = session.pump if session is not None else None
        images = self._images
        want_image = partial(images.want, execution.platform, execution.auth)
        actor = ContainerActor(
            self.world, effect.container, owner.ledger, owner.about, order, pump,
            want_image, images.leave, images.forget,
        )  # fmt: skip
        self.world.spawn(actor, wanted)

    def _clean_up(self, actor: Actor) -> None:
        """After a crash of ours: close the connection it belonged to, and remove its container in any case."""
        connection = next((a for a in self.world.actors.values() if self._is_of(a, actor)), None)
        if isinstance(actor, ConnectionActor):
            actor.transport.abort()
            self.world.post(actor.cell.container, StopWanted(why="its connection crashed"))
            for timer in actor.cell.timers:
                self.world.post(timer, TimerStopped())
        elif connection is not None:
            connection.post(ShimFailed(why=f"{actor.id} crashed"))
        if isinstance(actor, SessionActor):
            actor.pump.drop()
            actor.channel.abort()
            self.world.post(actor.cell.container, StopWanted(why="its session crashed"))
        if isinstance(actor, ContainerActor):
            self.world.on_doubt()
            labels = actor.order.labels
            found = FoundContainer(id=actor.cell.id, name=actor.order.name, labels=labels)
            self.adopt_orphan(found, actor.order.token, "its actor crashed")
        if isinstance(actor, ImageActor):
            self._images.disown(actor)

    def _is_of(self, candidate: Actor, actor: Actor) -> bool:
        same = candidate.about.get("connectionId") == actor.about.get("connectionId")
        return isinstance(candidate, ConnectionActor) and candidate is not actor and same

    def _token(self, container: str) -> str:
        return f"{self.world.boot}.{container}"

    def _own_labels(self) -> dict[str, str]:
        return {"moorage.instance": self.world.instance, "moorage.boot": self.world.boot}

    def _labels(self, about: dict[str, Any]) -> dict[str, str]:
        return {
            **self._own_labels(),
            "moorage.connection": about["connectionId"],
            "containerssh_connection_id": about["connectionId"],
            "containerssh_ip": host_of(about["remoteAddr"]),
            "containerssh_username": str(about.get("username", "")),
        }


def _login_grace(settings: Settings) -> float:
    """A person who has to open a page is given the time for it; and a webhook that is slow costs nobody a login."""
    interactive = settings.auth.keyboard_interactive
    page_s = interactive.oauth2.oidc.login_timeout if interactive.method else 0.0
    config_s = settings.configserver.config_timeout if settings.configserver.url else 0.0
    return max(settings.ssh.login_grace, page_s) + config_s
