"""The session actor: one SSH channel and the program that runs for it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from actors.actor import Actor
from actors.orders import program_argv, program_env
from actors.ports import Channel, ExecOrder, ServedProgram, SpawnOrder, Vault
from actors.pump import Pump
from fsm.session_cell import SessionCell
from fsm.session_rows import SESSION
from protocol.base import Effect, Event
from protocol.connection import LandContainer
from protocol.session import (
    OUTCOMES,
    AttachExec,
    CreateExec,
    DropChannel,
    DropStream,
    ExecAttached,
    ExecCreated,
    ExecInspected,
    InspectExec,
    OpenTerminal,
    OrderSignal,
    ProgramWanted,
    ResizeProgram,
    SendExit,
    SignalProgram,
    SpawnFailed,
    SpawnProgram,
    TellUser,
)
from protocol.settings import Settings

if TYPE_CHECKING:
    from actors.recorder import Ledger
    from actors.supervisor import Supervisor


class SessionActor(Actor):
    """`vault` and `pump` are the channel's callbacks' to fill (ports.SessionPort); `settings` are its connection's."""

    kind = SESSION
    queued = frozenset({CreateExec, AttachExec, InspectExec})
    outcomes = OUTCOMES
    cell: SessionCell

    def __init__(
        self,
        supervisor: "Supervisor",
        id: str,
        ledger: "Ledger",
        about: dict[str, Any],
        channel: Channel,
        settings: Settings,
        files: Mapping[str, bytes],
    ) -> None:
        super().__init__(supervisor.world, id, ledger, about)
        self.vault = Vault()
        self.channel, self.settings, self.files = channel, settings, files
        self.pump = Pump(channel, self.post)
        self._supervisor = supervisor
        self._served: ServedProgram | None = None

    def post(self, event: Event) -> None:
        """A program that would be one container too many is refused."""
        if isinstance(event, ProgramWanted):
            event = self._supervisor.admission.program(self, event)
        super().post(event)

    def perform(self, effect: Effect) -> None:
        match effect:
            case TellUser(text=text, code=code):
                end = f" ({code})" if code else ""
                self.channel.write(f"moorage: {text}{end}\r\n".encode(errors="replace"), True)
            case SendExit():
                self.channel.notify_when_sent(lambda: self._send_exit(effect))
            case DropChannel():
                self.channel.abort()
            case DropStream():
                self.pump.drop()
            case LandContainer():
                self._supervisor.land_program(self, effect)
            case OpenTerminal():
                self._supervisor.open_terminal(self, effect)
            case SpawnProgram():
                self._spawn(effect)
            case SignalProgram(signal=name):
                if self._served is not None:
                    self._served.signal(name)
            case ResizeProgram(size=size):
                if self._served is not None:
                    self._served.resize(size)
            case OrderSignal():
                self._supervisor.order_signal(self, effect)
            case _:
                super().perform(effect)

    async def work(self, effect: Effect) -> Event:
        engine, execution = self.world.engine, self.settings.docker.execution
        match effect:
            case CreateExec(container=container, program=program, tty=tty, size=size):
                argv = program_argv(execution, program, self.vault)
                env = program_env(execution, self.vault, tty)
                order = ExecOrder(container=container, command=argv or (), env=env, tty=tty, size=size)
                return ExecCreated(exec=await engine.create_exec(order))
            case AttachExec(exec=exec_, tty=tty, size=size):
                self.pump.join(await engine.start_exec(exec_, tty, size, self.pump))
                return ExecAttached()
            case InspectExec(exec=exec_):
                exit_ = await engine.inspect_exec(exec_)
                status, oom = (exit_.status, exit_.oom) if exit_ is not None else (None, False)
                return ExecInspected(status=status, oom=oom, dice=self.world.roll())
        return await super().work(effect)

    def _spawn(self, effect: SpawnProgram) -> None:
        """Its stream is joined at once: the link keeps the order, so input may follow before the program runs."""
        link = self._supervisor.link_of(effect.container)
        if link is None:
            self.post(SpawnFailed(fault="unavailable", why="the container is gone"))
            return
        argv = self._served_argv(effect)
        if not argv:
            why = "its image has neither an ENTRYPOINT nor a CMD, and the configuration no shellCommand"
            self.post(SpawnFailed(fault="invalid", why=why))
            return
        order = SpawnOrder(
            argv=argv,
            env=program_env(self.settings.docker.execution, self.vault, effect.tty),
            tty=effect.tty,
            size=effect.size,
            modes=self.vault.modes,
        )
        self._served = link.spawn(order, self.pump, self.post)
        self.pump.join(self._served)

    def _served_argv(self, effect: SpawnProgram) -> Sequence[str]:
        """In mode session the program stands behind the image's ENTRYPOINT, as with `docker run`."""
        execution = self.settings.docker.execution
        argv = program_argv(execution, effect.program, self.vault)
        if execution.mode == "connection":
            return argv or ()
        image = self._supervisor.command_of(effect.container)
        entrypoint = execution.container.get("Entrypoint")
        command = image.command if argv is None and entrypoint is None else argv or ()
        return [*(image.entrypoint if entrypoint is None else entrypoint), *command]

    def _send_exit(self, effect: SendExit) -> None:
        """RFC 4254 section 6.10, and what clients count on: all output, EOF, exit, close."""
        self.channel.write_eof()
        if effect.signal:
            self.channel.exit_signal(effect.signal, effect.core, effect.message)
        else:
            self.channel.exit_status(effect.status)
        self.channel.close()
