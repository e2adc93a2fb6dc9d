"""What a machine's answers depend on, as one hash: rows, deadlines, messages, and the source of guards and makers.

Helpers and constants that a guard or maker reaches by name count too, since they can change an answer as well.
Comments, docstrings and layout do not count. The kernel, under all machines, has a fingerprint of its own.
"""

import ast
import functools
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from types import CodeType, FunctionType, ModuleType
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from fsm import kernel
from fsm.kernel import Kind, Row

FOREIGN = (*sys.stdlib_module_names, "msgspec", "transitions")  # a version of theirs is no version of our tables
Reached = dict[str, str]  # full name -> source or value, of everything found so far


def fingerprints(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Machine name -> SHA-256 in hex, and one more for the kernel."""
    return {"kernel": _hash([plain(inspect.getsource(kernel))]), **{name: fingerprint(kinds[name]) for name in kinds}}


def fingerprint(kind: Kind) -> str:
    """SHA-256 in hex of everything that one machine's answers depend on, the kernel aside."""
    reached: Reached = {}
    _value(type(kind.cell()), reached)
    table = [kind.name, kind.initial.name, *sorted(kind.final)]
    table += [f"{name}: {sorted(span)}" for name, span in kind.deadlines.items()]
    table += [_row(row, reached) for row in kind.rows]
    return _hash([*table, *(f"{name} = {text}" for name, text in sorted(reached.items()))])


def name_of(function: Any) -> str:
    """How a guard or maker is called in the table; empty for none."""
    while isinstance(function, functools.partial):
        function = function.func
    return "" if function is None else str(getattr(function, "__name__", type(function).__name__))


def plain(source: str) -> str:
    """Source without comments, docstrings and layout; as it is where it is only a piece of an expression."""
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:
        return source.strip()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            node.body = [part for part in node.body if not _is_text(part)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _row(row: Row, reached: Reached) -> str:
    """One row as text; the message codes count by name and level, their wording does not."""
    says = [f"{code.name}/{code.level}" for code in row.says]
    calls = [_value(part, reached) for part in (row.event, row.do, row.when)]
    return repr((row.id, row.state.name, row.to.name if row.to else None, calls, says, row.deadline))


def _value(value: Any, reached: Reached) -> str:
    """A text that is the same in every process, having noted on the way what `value` itself depends on."""
    if value is None or isinstance(value, (str, bytes, int, float, Enum)):
        return repr(value)
    if isinstance(value, (FunctionType, type)):
        return _code(value, reached)
    if isinstance(value, functools.partial):
        return _value([value.func, value.args, value.keywords], reached)
    if isinstance(value, Mapping):
        return str([(_value(key, reached), _value(part, reached)) for key, part in value.items()])
    if isinstance(value, (set, frozenset)):
        return str(sorted(_value(part, reached) for part in value))
    if isinstance(value, (list, tuple)):
        return str([_value(part, reached) for part in value])
    if isinstance(value, Struct):
        return type(value).__name__ + _value([getattr(value, field.name) for field in fields(value)], reached)
    return type(value).__name__


def _code(code: FunctionType | type, reached: Reached) -> str:
    """The name of a function or class; if it is ours, its source or fields are noted once."""
    name = f"{code.__module__}.{code.__qualname__}"
    if _is_ours(code.__module__) and name not in reached:
        reached[name] = ""  # it may use itself
        reached[name] = _function(code, reached) if isinstance(code, FunctionType) else _class(code, reached)
    return name


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] not in FOREIGN


def _function(function: FunctionType, reached: Reached) -> str:
    names = set(_names(function.__code__))
    used = {name: value for name, value in function.__globals__.items() if name in names}
    for module in [
        value for value in used.values() if isinstance(value, ModuleType)
    ]:  # codes.SOMETHING: both are names
        used |= {name: value for name, value in vars(module).items() if name in names and _is_ours(module.__name__)}
    used |= dict(inspect.getclosurevars(function).nonlocals)
    values = [(name, _value(value, reached)) for name, value in sorted(used.items())]
    return f"{plain(inspect.getsource(function))}\n{values} {_value(function.__defaults__, reached)}"


def _names(code: CodeType) -> Iterator[str]:
    """Every name that this code, or code inside it, may look up among the globals."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _class(cls: type, reached: Reached) -> str:
    if issubclass(cls, Enum):
        return repr([(member.name, member.value) for member in cls])
    if not issubclass(cls, Struct):
        return plain(inspect.getsource(cls))
    methods = [_value(value, reached) for value in vars(cls).values() if isinstance(value, FunctionType)]
    parts = [(field.encode_name, str(field.type), _value(field.default, reached)) for field in fields(cls)]
    return repr((parts, methods))
