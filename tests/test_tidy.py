"""The house style, as far as a program can hold it. Each failure names file and line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol import codes
from protocol.codes import Code
from protocol.codes_absent import RETIRED

HOME = Path(__file__).parent.parent
ROOMS = ("protocol", "fsm", "actors", "moorage")
LINES_MAX, FUNCTION_LINES_MAX, COLUMNS_MAX = 400, 70, 120
TABLE_COLUMNS_MAX = 180  # between `# fmt: off` and `# fmt: on`: a row of a table is one line
C = sorted([*(HOME / "agent").glob("*.[ch]"), *(HOME / "tests").rglob("*.c")])
SOURCES = sorted(path for room in ROOMS for path in (HOME / room).rglob("*.py"))
PYTHON = [*SOURCES, *sorted((HOME / "tests").rglob("*.py")), *sorted((HOME / "benchmarks").rglob("*.py"))]
# Spelled so that this file does not hold them.
MARKERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b|\bbreak" r"point\(\)")
SPOKEN = re.compile(r"^((?:DOCKER|MOORAGE|SSH)_[A-Z_]+): ")
REGISTRY = HOME / "protocol" / "codes.py"
# Who stands at the front door may print; the rooms below say things by codes.
MAY_PRINT = ("moorage",)


def name_of(path: Path) -> str:
    return path.relative_to(HOME).as_posix()


each_source = pytest.mark.parametrize("path", SOURCES, ids=name_of)
each_file = pytest.mark.parametrize("path", PYTHON, ids=name_of)


@each_file
def test_lengths(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LINES_MAX
    columns_max, wrong = COLUMNS_MAX, []
    for number, line in enumerate(lines, 1):
        if line.strip() == "# fmt: off":
            columns_max = TABLE_COLUMNS_MAX
        elif line.strip() == "# fmt: on":
            columns_max = COLUMNS_MAX
        elif len(line) > columns_max:
            wrong.append(f"line {number}: {len(line)} columns")
    assert not wrong


@pytest.mark.parametrize("path", C, ids=name_of)
def test_lengths_of_the_agent(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LINES_MAX
    assert not [f"line {number}" for number, line in enumerate(lines, 1) if len(line) > COLUMNS_MAX]
    assert not MARKERS.search(path.read_text())


@each_file
def test_functions_are_short(path: Path) -> None:
    long = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            long += [f"{node.name}: {length} lines"] if length > FUNCTION_LINES_MAX else []
    assert not long


@each_file
def test_no_leftovers(path: Path) -> None:
    assert not MARKERS.search(path.read_text())


@each_source
def test_each_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not tree.body


@each_source
def test_no_bare_except_and_no_print(path: Path) -> None:
    wrong = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            wrong.append(f"line {node.lineno}: a bare except")
        if isinstance(node, ast.Name) and node.id == "print" and path.relative_to(HOME).parts[0] not in MAY_PRINT:
            wrong.append(f"line {node.lineno}: print")
    assert not wrong


def uses_of_codes() -> Iterator[tuple[str, str]]:
    """Each (place, name) where a code is taken: `codes.NAME`, its import, or a sentence that begins with it."""
    for path in SOURCES:
        if path == REGISTRY:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "codes":
                yield f"{name_of(path)}:{node.lineno}", node.attr
            elif isinstance(node, ast.ImportFrom) and node.module == "protocol.codes":
                yield from ((f"{name_of(path)}:{node.lineno}", alias.name) for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from ((f"{name_of(path)}:{node.lineno}", name) for name in SPOKEN.findall(node.value))


USES = list(uses_of_codes())
REGISTERED = {name for name, value in vars(codes).items() if isinstance(value, Code)}


def test_every_code_in_use_is_registered() -> None:
    wrong = [f"{place} says codes.{name}" for place, name in USES if not hasattr(codes, name)]
    assert not wrong, "\n".join(wrong)


def test_every_registered_code_is_in_use() -> None:
    idle = REGISTERED - {name for _, name in USES}
    assert not idle, "nobody says " + ", ".join(sorted(idle))


def test_a_code_is_called_what_it_is() -> None:
    assert not [name for name in REGISTERED if getattr(codes, name).name != name]


def test_no_code_is_both_retired_and_alive() -> None:
    assert not REGISTERED & set(RETIRED)


def test_every_test_file_can_be_collected() -> None:
    """A test file that pytest would not take (another name, another folder) tests nothing."""
    strays = [
        name_of(path)
        for path in (HOME / "tests").rglob("*.py")
        if "\ndef test_" in path.read_text() and not path.name.startswith("test_")
    ]
    assert not strays
