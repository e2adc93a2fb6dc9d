"""How a command fails: one sentence on stderr and an exit code, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import click


class Problem(click.ClickException):
    """It failed; `moorage: SENTENCE` goes to stderr."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code  # type: ignore[misc]  # click documents it as an instance's too

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"moorage: {self.message}", err=True)


@contextmanager
def sentences(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds, whose text is a sentence already, and the system's become a `Problem`.

    Trio wraps what ends a nursery in a group, maybe in several; one error alone is taken out of them.
    """
    try:
        yield
    except Exception as error:
        found = _alone(error)
        if isinstance(found, kinds):
            raise Problem(str(found)) from error
        if isinstance(found, OSError):
            raise Problem(f"{found.filename}: {found.strerror}" if found.filename else str(found)) from error
        raise


def _alone(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
