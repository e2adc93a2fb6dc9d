"""A raw tree (of a YAML or JSON file) in, Settings out; or everything that is wrong with it, at once.

The rules of a key come from its type in `settings.py`: the reader walks the types, so a key is declared in one place.
What spans several keys is asked of `settings_checks.py` afterwards. Nothing here raises but `SettingsError`.
"""

from typing import Any, cast, get_args

from msgspec import UNSET, Struct, UnsetType, inspect

from protocol.settings import Execution, LogLevel, Settings
from protocol.settings_auth_legacy import modern_auth
from protocol.settings_checks import problems_of, remarks_on
from protocol.settings_dockerrun import DockerRunConfig
from protocol.settings_engine import TREES, Host, Resources, folded, nothing_of
from protocol.settings_legacy import as_written, deprecations, modernised, sections
from protocol.settings_origin import with_its_image
from protocol.settings_part import PER_LOGIN, may_differ
from protocol.settings_problem import (
    Plain,
    Problem,
    SettingsError,
    above,
    bytes_meant,
    is_within,
    join,
    kind_of,
    nanoseconds,
    nearest,
    resolved,
    shown,
)
from protocol.settings_unserved import KEEP, backend_refusal, unserved, unused

__all__ = ["Plain", "Problem", "Reading", "SettingsError", "read_part", "read_settings"]

# Of what is passed through to the engine unread; a tree made by a program may even hold itself.
DEPTH_MAX = 32
PASSED_MAX = 10_000
INT_MAX = 2**63 - 1
A_MILLISECOND = 10**6  # a bare number of at least this is what ContainerSSH means by one, not a slip
CLOSE = 0.8  # how near an engine field's name must be to a known one to be called a slip of the pen

# YAML 1.1's words, which Go's reader still takes where a boolean is wanted.
_BOOLEANS = {"y": True, "yes": True, "on": True, "n": False, "no": False, "off": False}
# Sentences of ContainerSSH that people search for.
_SENTENCES = {
    "backend": "invalid backend: {}",
    "docker.execution.mode": "invalid execution mode: {}",
    "docker.execution.imagePullPolicy": "invalid image pull policy: {}",
    "audit.format": "invalid audit log format: {}",
    "audit.storage": "invalid audit log storage: {}",
}
# ContainerSSH's documents write the first, its reader takes the second.
_ALIASES: dict[tuple[type, object], str] = {
    (Execution, "containerName"): "containername",
    (DockerRunConfig, "containerName"): "containername",
}
# Rules about these follow from the mode, so they say nothing while the mode itself is wrong.
_BY_MODE = frozenset(f"docker.execution.{key}" for key in ("idleCommand", "shellCommand", "host.restartPolicy"))
_ROOT = cast(inspect.StructType, inspect.type_info(Settings))
_ENGINE = {name: cast(inspect.TypedDictType, inspect.type_info(tree)) for name, tree in TREES.items()}
_TREES = tuple(_ENGINE.values())
_RESOURCES = cast(inspect.TypedDictType, inspect.type_info(Resources))


class Reading(Struct, frozen=True):
    """A configuration that can be used, and what its author should know about it all the same."""

    settings: Settings
    warnings: tuple[Problem, ...] = ()


def read_settings(tree: object) -> Reading:
    """Read a whole configuration: nested dicts and lists, scalars as Python has them or, from YAML, as `Plain` text.

    Raises SettingsError with all problems, in the order of the file.
    """
    reader = _Reader()
    tree, reader.warnings = modern_auth({} if resolved(tree) is None else tree)
    taken = reader.read(_ROOT, tree, "")
    settings = taken if isinstance(taken, Settings) else None
    if settings:
        given = sections(cast(dict[object, object], tree))
        settings, remarks = with_its_image(modernised(settings, given), reader.places)
        reader.warnings += remarks
        found = [as_written(settings, problem) for problem in problems_of(settings)]
        reader.problems += [problem for problem in found if reader.is_sound(problem.path)]
        reader.warnings += [as_written(settings, problem) for problem in remarks_on(settings)]
        reader.warnings += deprecations(settings, given)
    warnings = sorted(reader.warnings, key=reader.place)
    if reader.problems or not settings:
        raise SettingsError(sorted(reader.problems, key=reader.place), warnings, settings)
    return Reading(settings, tuple(warnings))


def read_part(tree: object, path: str) -> tuple[dict[str, Any], list[Problem]]:
    """Read a part of the settings from elsewhere, by the rules of the file. `path`: what problems say it lies under."""
    reader = _Reader(is_file=False)
    taken = reader.read_part(tree, path)
    return {} if taken is UNSET else taken, reader.problems


class _Reader:
    """One walk through a tree. A value that cannot be taken leaves a problem behind and reads as UNSET.

    `part`: the path of the part that is being read (see settings_part.py); None: it is the whole.
    """

    def __init__(self, is_file: bool = True) -> None:
        self.is_file = is_file
        self.part: str | None = None
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.places: dict[str, int] = {}  # path in lower case -> when the walk came by
        self.passed = 0  # values passed through unread

    def place(self, problem: Problem) -> int:
        """Where in the file: the place of its path, or of the nearest part of it that is there; nowhere: at the end."""
        path = problem.path.lower()
        while path and path not in self.places:
            path = above(path)
        return self.places.get(path, len(self.places))

    def is_sound(self, path: str) -> bool:
        """Nothing at, under or around `path` has failed to read, so a rule about it is not misled by a default."""
        failed = [problem.path for problem in self.problems]
        if path in _BY_MODE and "docker.execution.mode" in failed:
            return False
        return not any(is_within(one, path) or is_within(path, one) for one in failed)

    def refuse(self, path: str, found: str, allowed: str = "", advice: str = "") -> UnsetType:
        self.problems.append(Problem(path, found, allowed, advice))
        return UNSET

    def read(self, kind: inspect.Type, raw: object, path: str) -> Any:
        """`raw` as `kind` wants it, or UNSET."""
        extra: dict[str, Any] = {}
        while isinstance(kind, inspect.Metadata):
            extra, kind = {**extra, **(kind.extra or {})}, kind.type
        self.places.setdefault(path.lower(), len(self.places))
        if "part" in extra:
            return self.read_part(raw, path)
        if "engine" in extra:
            image = {"Image": extra["image"]} if "image" in extra and self.part is None else {}
            taken = self._object(_ENGINE[extra["engine"]], raw, path)
            return taken if taken is UNSET else {**image, **taken}
        match kind:
            case inspect.StrType():
                return self._text(raw, path, "secret" in extra)
            case inspect.BoolType():
                return self._boolean(raw, path)
            case inspect.IntType():
                return self._integer(kind, raw, path, extra.get("unit", ""))
            case inspect.FloatType():
                return self._duration(raw, path, extra)
            case inspect.LiteralType():
                return self._choice(kind, raw, path)
            case inspect.UnionType():
                return self._either(kind, raw, path)
            case inspect.VarTupleType() | inspect.ListType():
                return self._list(kind, raw, path)
            case inspect.DictType():
                return self._mapping(kind, raw, path)
            case inspect.TypedDictType():
                return self._object(kind, raw, path)
            case inspect.StructType():
                return self._struct(kind, raw, path)
        return self._anything(raw, path)

    def read_part(self, raw: object, path: str) -> Any:
        """What is given of the settings and nothing else, as a tree in the file's own spelling."""
        self.part = path
        taken = self._struct(_ROOT, raw, path)
        self.part = None
        return taken

    def _key(self, path: str) -> str:
        """`path` as in the whole file."""
        return path if self.part is None else path[len(self.part) + 1 :]

    def _text(self, raw: object, path: str, secret: bool) -> Any:
        if not isinstance(raw, str):
            found = kind_of(raw) if secret else shown(raw)
            return self.refuse(path, found, "text", "put it in quotes" if isinstance(raw, int | float) else "")
        text = str(raw)
        if any("\ud800" <= character <= "\udfff" for character in text):
            return self.refuse(path, "text that is not Unicode", "text")
        return text

    def _boolean(self, raw: object, path: str) -> Any:
        value = resolved(raw)
        if type(raw) is Plain and isinstance(value, str):
            value = _BOOLEANS.get(value.lower(), value)
        return value if isinstance(value, bool) else self.refuse(path, shown(raw), "true or false")

    def _integer(self, kind: inspect.IntType, raw: object, path: str, unit: str) -> Any:
        allowed = f"a whole number of {unit}" if unit else "a whole number"
        value = resolved(raw)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and unit == "nanoseconds" and (length := nanoseconds(value)) is not None:
            return length  # Go reads these from text as well
        if isinstance(value, bool) or not isinstance(value, int):
            meant = bytes_meant(value) if isinstance(value, str) and unit == "bytes" else None
            return self.refuse(path, shown(raw), allowed, "" if meant is None else f"write {meant}")
        if kind.ge is not None and value < kind.ge:
            return self.refuse(path, shown(raw), f"{allowed}, at least {kind.ge}")
        if kind.le is not None and value > kind.le:
            return self.refuse(path, shown(raw), f"{allowed}, at most {kind.le}")
        return value if abs(value) <= INT_MAX else self.refuse(path, shown(raw), f"{allowed} of 64 bits")

    def _duration(self, raw: object, path: str, extra: dict[str, Any]) -> Any:
        """Seconds. Text has Go's units; a bare number is nanoseconds, which nobody means, so it gets a remark."""
        value = resolved(raw)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= INT_MAX:
            length: int | None = int(value)
            if value:
                remark = f"the number {raw} has no unit and is taken as nanoseconds: {int(value) / 1e9:.9g} s"
                meant = (
                    f"write {int(value) / 1e9:.9g}s"
                    if value >= A_MILLISECOND
                    else f"if seconds are meant, write {raw}s"
                )
                self.warnings.append(Problem(path, remark, advice=meant))
        else:
            length = nanoseconds(value) if isinstance(value, str) else None
        if length is None:
            found = value[:60] if isinstance(value, str) else shown(raw)
            return self.refuse(path, f"invalid duration: {found}", "a number with a unit, such as 60s, 1m30s or 100ms")
        return UNSET if not length and extra.get("zero") == "default" else length / 1e9

    def _choice(self, kind: inspect.LiteralType, raw: object, path: str) -> Any:
        value = str(raw) if isinstance(raw, str) else resolved(raw)
        if value in kind.values:
            return value
        if value == "":
            return UNSET  # an empty choice is the default, as in ContainerSSH
        if path == "log.level" and type(number := resolved(raw)) is int and 0 <= number <= 7:
            return get_args(LogLevel)[7 - number]  # syslog's numbers: 7 is debug
        key = self._key(path)
        is_mode = key.startswith("security.") and key.lower().endswith("mode")
        usual = "invalid mode: {}" if is_mode else "invalid choice: {}"
        word = value[:60] if isinstance(value, str) else shown(raw)
        found = (key == "backend" and backend_refusal(value)) or _SENTENCES.get(key, usual).format(word)
        near = nearest(value, cast(tuple[str, ...], kind.values)) if isinstance(value, str) else ""
        allowed = ", ".join(str(value) for value in kind.values if value != "")
        return self.refuse(path, found, allowed, f"did you mean {near}?" if near else "")

    def _either(self, kind: inspect.UnionType, raw: object, path: str) -> Any:
        """A word, or a number."""
        words = [value for one in kind.types if isinstance(one, inspect.LiteralType) for value in one.values]
        if isinstance(raw, str) and str(raw) in words:
            return str(raw)
        number = next(one for one in kind.types if isinstance(one, inspect.IntType))
        if type(resolved(raw)) in (int, float):
            return self._integer(number, raw, path, "")
        return self.refuse(path, shown(raw), f"{', '.join(map(str, words))} or a whole number")

    def _list(self, kind: inspect.VarTupleType | inspect.ListType, raw: object, path: str) -> Any:
        if not isinstance(raw, list | tuple):
            advice = "write it as a list: one item a line, each after a dash, or [in, brackets]"
            return self.refuse(path, kind_of(raw), "a list", advice)
        items = [self.read(kind.item_type, item, f"{path}[{index}]") for index, item in enumerate(raw)]
        items = [item for item in items if item is not UNSET]
        return items if isinstance(kind, inspect.ListType) else tuple(items)

    def _mapping(self, kind: inspect.DictType, raw: object, path: str) -> Any:
        if not isinstance(raw, dict):
            return self.refuse(path, kind_of(raw), "a mapping")
        result: dict[str, Any] = {}
        for key, value in raw.items():
            here = self._step(path, key)
            if here is None:
                continue
            if resolved(value) is None:
                value = nothing_of(kind.value_type)
            taken = self.read(kind.value_type, value, here)
            if taken is not UNSET:
                result[str(key)] = taken
        return result

    def _step(self, path: str, key: object) -> str | None:
        """The path one key down; None, and a problem, when the key is not text."""
        if isinstance(key, str) and self._text(key, path, secret=True) is not UNSET:
            self.places.setdefault(join(path, key).lower(), len(self.places))
            return join(path, str(key))
        if not isinstance(key, str):
            self.refuse(path, f"a key that is not text: {shown(key)}", "text", "put it in quotes")
        return None

    def _struct(self, kind: inspect.StructType, raw: object, path: str) -> Any:
        """A section of ours: exact keys, and nothing else."""
        if not isinstance(raw, dict):
            return self.refuse(path, kind_of(raw), "a mapping")
        fields = {field.encode_name: field for field in kind.fields}
        values: dict[str, Any] = {}
        for key, value in raw.items():
            here = self._step(path, key)
            if here is None:
                continue
            field = fields.get(_ALIASES.get((kind.cls, key), cast(str, key)))
            faults = len(self.problems)
            if field is None:
                self._unknown(here, str(key), value, list(fields))
            elif self.part is not None and not may_differ(self._key(here), self.is_file):
                self.refuse(here, "this is of the whole server", f"{', '.join(PER_LOGIN)}", "write it outside of rules")
            elif resolved(value) is None:
                pass  # a key without a value keeps its default
            elif field.name in values:
                self.refuse(here, "given twice, in two spellings", advice="keep one")
            elif (taken := self.read(field.type, value, here)) is not UNSET:
                values[field.name] = taken
            elif self.part is not None and len(self.problems) == faults:
                values[field.name] = field.default  # what the file's author means by 0 or nothing there
        if self.part is not None:
            return {field.encode_name: values[field.name] for field in kind.fields if field.name in values}
        return kind.cls(**values)

    def _unknown(self, path: str, key: str, value: object, known: list[str]) -> None:
        whole = self._key(path)
        reason, idle = unserved(whole, value), unused(whole, value)
        if idle:
            self.warnings.append(Problem(path, idle, advice="take it out"))
        elif reason:
            self.refuse(path, reason, advice=KEEP)
        elif reason is None and idle is None:
            near = nearest(key, known)
            self.refuse(path, "unknown key", ", ".join(known), f"did you mean {near}?" if near else "")

    def _object(self, kind: inspect.TypedDictType, raw: object, path: str) -> Any:
        """An object of the engine's API: keys in any case, its own spelling out, new fields passed on with a remark."""
        if not isinstance(raw, dict):
            return self.refuse(path, kind_of(raw), "a mapping")
        result: dict[str, Any] = {}
        self._fields(kind, raw, path, result)
        return result

    def _fields(
        self, kind: inspect.TypedDictType, raw: dict[object, object], path: str, result: dict[str, Any]
    ) -> None:
        fields = {folded(field.name): field for field in kind.fields}
        for key, value in raw.items():
            here = self._step(path, key)
            name = folded(key) if isinstance(key, str) else ""
            field = fields.get(name)
            if here is None or resolved(value) is None:
                if field is not None and self.part is not None:
                    result[field.name] = None  # it is to be taken away
            elif field is not None and field.name in result:
                self.refuse(here, f"{field.name} is given twice", advice="keep one")
            elif field is not None:
                faults = len(self.problems)
                if (taken := self.read(field.type, value, here)) is not UNSET:
                    result[field.name] = taken
                elif self.part is not None and len(self.problems) == faults:
                    result[field.name] = None  # an empty choice: the engine's default, whatever the file says
            elif kind.cls is Host and name == "resources":
                if isinstance(value, dict):
                    self._fields(_RESOURCES, value, here, result)
                else:
                    self.refuse(here, kind_of(value), "a mapping")
            else:
                self._foreign(kind, cast(str, key), value, here, result)

    def _foreign(self, kind: inspect.TypedDictType, key: str, value: object, path: str, result: dict[str, Any]) -> None:
        """A field that is not in our tables: a slip of the pen is refused, anything else may be newer than we are."""
        home = next((name for name, tree in _ENGINE.items() if _has(tree, key)), "") if kind in _TREES else ""
        near = nearest(key, [field.name for field in kind.fields], CLOSE)
        if home or near:
            meant = f"{above(above(path))}.{home}.{key}" if home else near
            self.refuse(path, "unknown key", advice=f"did you mean {meant}?")
            return
        self.warnings.append(Problem(path, "not a field that Moorage knows; it is passed to the engine as it stands"))
        if (taken := self._anything(value, path)) is not UNSET:
            result[str(key)] = taken

    def _anything(self, raw: object, path: str, depth: int = 0) -> Any:
        """A value to pass on unread: whatever JSON can say."""
        value = resolved(raw)
        self.passed += 1
        if depth > DEPTH_MAX or self.passed > PASSED_MAX:
            return self.refuse(path, "too large", f"{DEPTH_MAX} levels and {PASSED_MAX} values")
        if isinstance(value, dict):
            pairs = [(self._step(path, key), key, item) for key, item in value.items()]
            taken = {str(key): self._anything(item, here, depth + 1) for here, key, item in pairs if here is not None}
            return {key: item for key, item in taken.items() if item is not UNSET}
        if isinstance(value, list | tuple):
            items = [self._anything(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
            return [item for item in items if item is not UNSET]
        if isinstance(value, str):
            return self._text(value, path, secret=True)
        if value is None or (isinstance(value, int | float) and abs(value) <= INT_MAX):
            return value
        return self.refuse(path, shown(value), "something that JSON can say")


def _has(tree: inspect.TypedDictType, key: str) -> bool:
    return any(folded(field.name) == folded(key) for field in tree.fields)
