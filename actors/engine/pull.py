"""What a pull's stream of JSON lines says: progress for people, and errors.

The engine answers 200 before it begins, so whatever goes wrong later is told inside the stream.
"""

from typing import Any

from actors.engine.faults import class_of, one_line
from actors.ports import EngineFault

SECONDS_BETWEEN_LINES = 0.5

# The engine's words for the phases of a layer, and ours. What it has already is not worth a line.
_DOWNLOADING = frozenset({"Pulling fs layer", "Waiting", "Downloading"})
_DOWNLOADED = frozenset({"Verifying Checksum", "Download complete"})
_EXTRACTING = frozenset({"Extracting"})
_DONE = frozenset({"Pull complete"})


class _Layer:
    """Bytes of one layer; `total` is 0 until the engine says."""

    __slots__ = ("current", "phase", "total")

    def __init__(self) -> None:
        self.phase = "downloading"
        self.current = 0
        self.total = 0


def raise_stream_error(item: Any) -> None:
    """Raise the `EngineFault` that a line of the stream carries, if it does.

    The class is that of `errorDetail.code`, an HTTP status, where the engine gives one, else internal.
    """
    if not isinstance(item, dict) or not ("error" in item or "errorDetail" in item):
        return
    detail = item.get("errorDetail")
    detail = detail if isinstance(detail, dict) else {}
    why = detail.get("message") or item.get("error") or "the engine gave no reason"
    code = detail.get("code")
    raise EngineFault(class_of(code) if isinstance(code, int) else "internal", one_line(str(why)))


class PullProgress:
    """Folds the lines of a pull into one readable line over all layers, at most one each half second.

    Times are seconds of any clock that does not go back. `due` is when what is held back may be shown (None: nothing
    is), so that of a download which stalls the newest state is seen, not the one of half a second before.
    """

    def __init__(self, reference: str) -> None:
        self._reference = reference
        self._layers: dict[str, _Layer] = {}
        self._said_at: float | None = None
        self._news = False

    def take(self, item: Any, now: float) -> str:
        """The line to show now, or empty. `item` is one decoded line of the stream, or None for what is due."""
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            self._take_layer(item["id"], str(item.get("status", "")), item.get("progressDetail"))
        if not self._news or (self._said_at is not None and now - self._said_at < SECONDS_BETWEEN_LINES):
            return ""
        self._said_at, self._news = now, False
        return self._line()

    @property
    def due(self) -> float | None:
        return self._said_at + SECONDS_BETWEEN_LINES if self._news and self._said_at is not None else None

    def _take_layer(self, name: str, status: str, detail: Any) -> None:
        if status in _DOWNLOADING | _DOWNLOADED | _EXTRACTING | _DONE:
            layer = self._layers.setdefault(name, _Layer())
            self._news = True
        elif name in self._layers:
            layer = self._layers[name]  # "Retrying in 5 seconds" and the like
        else:
            return
        if status in _DOWNLOADING and isinstance(detail, dict):
            layer.current = int(detail.get("current") or layer.current)
            layer.total = int(detail.get("total") or layer.total)
        if status not in _DOWNLOADING:
            layer.current = layer.total
            layer.phase = "extracting" if status in _EXTRACTING else "done" if status in _DONE else "downloaded"

    def _line(self) -> str:
        layers = self._layers.values()
        count = f"{len(layers)} layer{'' if len(layers) == 1 else 's'}"
        total = sum(layer.total for layer in layers)
        if any(layer.phase == "downloading" for layer in layers):
            current = sum(layer.current for layer in layers)
            return f"{self._reference}: downloading {count}" + (f", {_sizes(current, total)}" if total else "")
        done = sum(layer.phase == "done" for layer in layers)
        return f"{self._reference}: unpacking {count}, {done} done" + (f", {_size(total)}" if total else "")

    def last(self) -> str:
        """The line for a pull that has succeeded."""
        count = len(self._layers)
        if not count:
            return f"{self._reference}: up to date"
        total = sum(layer.total for layer in self._layers.values())
        size = f", {_size(total)}" if total else ""
        return f"{self._reference}: pulled {count} layer{'' if count == 1 else 's'}{size}"


def _size(count: int) -> str:
    """Bytes as people read them, decimal as Docker shows them."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} B"


def _sizes(current: int, total: int) -> str:
    """`12.4 of 30.1 MB`: both in the unit of the total."""
    number, unit = _size(total).split()
    scale = {"GB": 10**9, "MB": 10**6, "kB": 10**3, "B": 1}[unit]
    part = f"{current / scale:.1f}" if scale > 1 else str(current)
    return f"{part} of {number} {unit}"
