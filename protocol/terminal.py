"""What is said to the terminal machine, and what it asks for. One per session with a PTY; it owns the window's size."""

from enum import Enum
from typing import Literal

from protocol.base import Effect, Event, Fault, Size

Target = Literal["exec", "container"]


class TerminalState(Enum):
    UNOPENED = "unopened"
    IDLE = "idle"
    RESIZING = "resizing"
    RESIZING_AGAIN = "resizing_again"
    CLOSED = "closed"


class TerminalOpened(Event, frozen=True, kw_only=True, tag="terminal_opened"):
    """The program runs. `size` is None when it was started with the right size already."""

    target: Target
    id: str
    size: Size | None
    seconds: dict[str, float]


class SizeWanted(Event, frozen=True, kw_only=True, tag="size_wanted"):
    size: Size


class TerminalClosed(Event, frozen=True, kw_only=True, tag="terminal_closed"): ...


class Resized(Event, frozen=True, kw_only=True, tag="resized"): ...


class ResizeFailed(Fault, frozen=True, kw_only=True, tag="resize_failed"): ...


class Resize(Effect, frozen=True, kw_only=True, tag="resize"):
    target: Target
    id: str
    size: Size


OUTCOMES: dict[type[Effect], tuple[type[Event], type[Fault]]] = {Resize: (Resized, ResizeFailed)}
