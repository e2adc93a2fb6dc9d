"""What `serve`, `up` and `demo` share: a configuration read or refused, and the daemon in the foreground."""

from collections.abc import Callable
from pathlib import Path

from actors.ports import EngineFault, OutsideFault
from moorage.cannot_serve import CannotServe
from moorage.commands.problem import Problem, sentences
from moorage.config import Unreadable, load
from moorage.debian import Missing
from moorage.serving import run_serve
from protocol import codes
from protocol.settings_problem import SettingsError
from protocol.settings_read import Reading

FAILURES = (CannotServe, EngineFault, Missing)


def read_config(path: Path) -> Reading:
    """The configuration. A `Problem` names all that is wrong with it, a line each."""
    try:
        return load(path)
    except Unreadable as error:
        raise Problem(f"the configuration cannot be read: {error}", 2) from error
    except SettingsError as error:
        lines = "".join(f"\n  {problem}" for problem in error.problems)
        raise Problem(f"{codes.DOCKER_CONFIG_ERROR.name}: {path} cannot be used:{lines}") from error


def serve_until_stopped(
    path: Path,
    reading: Reading,
    record: str | None,
    on_ready: Callable[[list[tuple[str, int]]], None],
    take_over: str | None = None,
) -> int:
    """`reading` is what `path` says now; it is read again when a reload is wanted."""

    def reread() -> Reading:
        try:
            return load(path)
        except Unreadable as error:
            raise OutsideFault("invalid", f"the configuration cannot be read: {error}") from error

    with sentences(*FAILURES):
        settings, warnings = reading.settings, reading.warnings
        return run_serve(
            settings, record=record, on_ready=on_ready, warnings=warnings, reread=reread, take_over=take_over
        )
