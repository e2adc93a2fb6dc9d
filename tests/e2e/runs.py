"""Runs from connect to the last removal: what the scenarios in `scenarios/` were recorded from.

A run is an async function that opens a server, does what its docstring says and checks what a client is told. The
rows that it is there for must be in its recording; `record.py` keeps one recording of each.
"""

from collections.abc import Awaitable, Callable
from importlib import import_module

from msgspec import Struct

from protocol.ledger import Scenario
from protocol.settings import GUEST_IMAGE
from tests.e2e.harness import Builder
from tests.registry import Registry

REGISTRY = "registry.example:5000"


class Setup(Builder):
    """Where a run begins. The registries are there for those that need one."""

    registry: Registry
    registry_with_login: Registry

    def aliases(self) -> dict[str, str]:
        """What a scenario calls the things whose names are this machine's or this run's. `called` adds to them."""
        hosts = [getattr(self, name).host for name in ("registry", "registry_with_login") if hasattr(self, name)]
        names = {f"{self.folder}/": "", **dict.fromkeys(hosts, REGISTRY), **self.called}
        return {**names, self.image: GUEST_IMAGE} if self.image else names


class Run(Struct, frozen=True, kw_only=True):
    """`rows` are what the recording shows (`A|B`: either). `kept`: which of the run's recordings, in order of birth."""

    name: str
    about: str
    mode: str
    end: str
    rows: tuple[str, ...]
    needs: tuple[str, ...]
    kept: int
    go: Callable[[Setup], Awaitable[None]]

    def recording(self, setup: Setup) -> Scenario:
        """The recording that shows it, checked to do so."""
        scenario = setup.scenarios[self.kept][1]
        self.check(scenario)
        return scenario

    def check(self, scenario: Scenario) -> None:
        """Does it hold the rows that the run is there for?"""
        fired = {line.answer.get("row") for line in scenario.lines}
        absent = [row for row in self.rows if fired.isdisjoint(row.split("|"))]
        assert not absent, f"{self.name}: {absent} did not fire"


RUNS: dict[str, Run] = {}


def run(
    name: str, *, end: str, rows: tuple[str, ...], needs: tuple[str, ...] = ("engine",), kept: int = 0
) -> Callable[[Callable[[Setup], Awaitable[None]]], Callable[[Setup], Awaitable[None]]]:
    """`needs`: pytest marks; without `engine` the engine is the fake one. The function's docstring is `about`."""

    def note(go: Callable[[Setup], Awaitable[None]]) -> Callable[[Setup], Awaitable[None]]:
        assert name not in RUNS and go.__doc__
        mode = "session" if "session" in name.split("-") else "connection"
        RUNS[name] = Run(name=name, about=go.__doc__, mode=mode, end=end, rows=rows, needs=needs, kept=kept, go=go)
        return go

    return note


def all_runs() -> dict[str, Run]:
    """By name, sorted. Imports the modules that hold them."""
    names = "end engine fault limits lost pool program pull reload rules served served_end time"
    for name in names.split():
        import_module(f"tests.e2e.runs_{name}")

    return dict(sorted(RUNS.items()))
