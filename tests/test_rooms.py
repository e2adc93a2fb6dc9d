"""Which room may know which, who owns which library, and that what is imported is declared: read from every import."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

HOME = Path(__file__).parent.parent
ROOMS = ("protocol", "fsm", "actors", "moorage")  # from the bottom up; a room knows itself and what stands before it

# The two pure rooms do nothing by themselves: no clock, dice, files, sockets, threads or log.
PURE = ("protocol", "fsm")
PURE_LIBRARIES = {"msgspec", "transitions"}
CLOSED = {
    *("asyncio", "ctypes", "fcntl", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select"),
    *("selectors", "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "trio", "uuid"),
}
# Time of day as a value is data; asking what time it is is not.
CLOCKS = {"now", "utcnow", "today", "monotonic", "perf_counter"}

# Library -> the files and folders that may import it. Whoever wants it elsewhere talks to its owner instead.
OWNERS: dict[str, tuple[str, ...]] = {
    "transitions": ("fsm/kernel.py", "fsm/diagram.py"),
    "asyncssh": ("actors/ssh/",),
    "aiodocker": ("actors/engine/",),
    "aiohttp": ("actors/engine/", "actors/web/"),
    "trio_asyncio": ("actors/bridge.py",),
    "asyncio": (
        "actors/ssh/",
        "actors/engine/",
        "actors/agent/",
        "actors/web/",
        "actors/bridge.py",
        "actors/outbox.py",
    ),
    "passlib": ("actors/passwords.py",),
    "click": ("moorage/cli.py", "moorage/commands/"),
    "ruamel": ("moorage/config.py", "moorage/migrate.py"),
    "cryptography": ("actors/ssh/packets.py", "moorage/first_run.py"),
}
# Folders of one room that must not know each other.
PARTS = ("ssh", "engine", "agent", "web")
STRANGERS = tuple((f"actors/{one}/", f"actors.{other}") for one in PARTS for other in PARTS if one != other)


class Import(NamedTuple):
    where: str  # path from the root, with slashes
    line: int
    module: str

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    def __str__(self) -> str:
        return f"{self.where}:{self.line} imports {self.module}"


def sources(room: str) -> list[Path]:
    return sorted((HOME / room).rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    where = path.relative_to(HOME).as_posix()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (Import(where, node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield Import(where, node.lineno, "." * node.level + (node.module or ""))
            else:
                # `from actors import ssh` names a module as well as `from actors.ssh import auth` does
                yield from (Import(where, node.lineno, f"{node.module}.{name.name}") for name in node.names)


ALL = [found for room in ROOMS for path in sources(room) for found in imports(path)]


def room_of(found: Import) -> str:
    return found.where.split("/")[0]


def report(wrong: list[Import]) -> None:
    assert not wrong, "\n".join(map(str, wrong))


def test_there_is_something_to_read() -> None:
    assert all(len(sources(room)) > 3 for room in ROOMS)
    assert len(ALL) > 200


def test_imports_point_downward() -> None:
    above = {room: set(ROOMS[place + 1 :]) for place, room in enumerate(ROOMS)}
    report([found for found in ALL if found.top in above[room_of(found)]])


def test_imports_are_flat() -> None:
    report([found for found in ALL if found.module.startswith(".")])
    report([found for found in ALL if found.module.startswith("moorage._rooms")])


def test_no_source_imports_tests_or_data() -> None:
    report([found for found in ALL if found.top in {"tests", "config", "scenarios", "benchmarks", "docs", "agent"}])


def test_the_pure_rooms_are_pure() -> None:
    pure = [found for found in ALL if room_of(found) in PURE]
    report([found for found in pure if found.top in CLOSED])
    known = PURE_LIBRARIES | set(ROOMS) | sys.stdlib_module_names
    report([found for found in pure if found.top not in known])


@pytest.mark.parametrize("path", [path for room in PURE for path in sources(room)], ids=lambda path: path.name)
def test_the_pure_rooms_ask_no_clock(path: Path) -> None:
    asked = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert not [f"line {node.lineno}: .{node.attr}" for node in asked if node.attr in CLOCKS]


def test_each_library_has_its_owner() -> None:
    report([found for found in ALL if found.top in OWNERS and not found.where.startswith(OWNERS[found.top])])


def test_each_owner_owns_something() -> None:
    idle = [name for name in OWNERS if name not in {found.top for found in ALL}]
    assert not idle, f"nobody imports {', '.join(idle)}: take it out of OWNERS and pyproject.toml"


def test_ssh_engine_and_agent_are_strangers() -> None:
    for folder, stranger in STRANGERS:
        report([found for found in ALL if found.where.startswith(folder) and found.module.startswith(stranger)])


def test_the_first_program_needs_only_python() -> None:
    """moorage/debian.py runs before there is an environment."""
    report([f for f in ALL if f.where == "moorage/debian.py" and f.top not in sys.stdlib_module_names])


def test_data_folders_hold_no_python() -> None:
    assert not [*(HOME / "config").rglob("*.py"), *(HOME / "scenarios").rglob("*.py")]
    assert not list((HOME / "tests").rglob("__init__.py"))


def test_what_is_imported_is_declared() -> None:
    """Each library that a room imports is a dependency of the package, not a guest of the test environment."""
    project = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]
    declared = {plain(entry) for entry in project["dependencies"]}
    owners = packages_distributions()
    strangers = {found.top for found in ALL} - sys.stdlib_module_names - set(ROOMS)
    missing = {top for top in strangers if not declared & {plain(name) for name in owners.get(top, [])}}
    assert not missing, f"imported and not in pyproject.toml: {', '.join(sorted(missing))}"


def plain(requirement: str) -> str:
    """`trio-asyncio>=0.15,<0.17` and `trio_asyncio` are one name."""
    name = requirement
    for mark in "[<>=!~; ":
        name = name.split(mark)[0]
    return name.lower().replace("_", "-")
