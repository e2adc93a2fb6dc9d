"""A configuration file in, Settings out: YAML, or JSON when the name ends in .json.

Reading is `protocol`'s; here are the file, its line numbers, and names that are relative to it. Checks that need a
library or a look at other files are `checks.py`'s.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

from msgspec.structs import replace
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scanner import Scanner

from moorage.checks import more_refusals
from moorage.containerssh import differences
from protocol.settings import Settings
from protocol.settings_auth import AskWebhook, Auth
from protocol.settings_http import HttpClient
from protocol.settings_problem import Plain, Problem, SettingsError, above, join, resolved
from protocol.settings_read import Reading, read_settings

FILE_BYTES_MAX = 4 * 2**20
VALUES_MAX = 100_000  # with aliases a small file can hold more than fits in memory
BRACKETS_MAX = 64  # in one another; what a configuration means is a dozen deep
RECOMMENDED = "docker.execution.hardening"
HARDENING = f"{RECOMMENDED}: strict; without the key, containers have all that the engine gives them"
H = TypeVar("H", bound=HttpClient)
# What YAML may take an unquoted scalar for; it is text to us until its key says more.
_KINDS = ("str", "bool", "int", "float", "null", "timestamp", "value", "merge")
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in _KINDS)


class Unreadable(Exception):
    """The file cannot be opened, or is no YAML or JSON at all; the text is one sentence with its name."""


def load(path: Path) -> Reading:
    """Read and check a configuration file. Raises Unreadable, or SettingsError with everything that is wrong."""
    return load_text(path, read_file(path))


def load_text(path: Path, data: bytes) -> Reading:
    """The same for what `path` would hold."""
    raw = RawFile(path, data)
    raw.take_in_users(path.absolute().parent)
    try:
        reading = read_settings(raw.tree)
        settings: Settings | None = reading.settings
        problems, warnings = list(raw.problems), reading.warnings
    except SettingsError as error:
        settings, problems, warnings = error.settings, [*raw.problems, *error.problems], error.warnings
    if settings:
        settings = located(settings, path.absolute().parent)
        problems += more_refusals(settings, problems)
    warnings = tuple(raw.with_lines(warnings))
    if problems or not settings:
        raise SettingsError(sorted(raw.with_lines(problems), key=_order), warnings, settings)
    return Reading(settings, warnings)


def check_config(path: Path, out: TextIO, containerssh: bool = False) -> int:
    """`moorage check-config`: say what is wrong, or `ok`. 0: usable, 1: not, 2: the file cannot be read.

    `containerssh`: and what is different from ContainerSSH with this file.
    """
    try:
        data = read_file(path)
        reading = load_text(path, data)
        settings: Settings | None = reading.settings
        warnings, problems = reading.warnings, tuple[Problem, ...]()
    except SettingsError as error:
        settings, warnings, problems = error.settings, error.warnings, error.problems
    except Unreadable as error:
        out.write(f"{error}\n")
        return 2
    for problem in problems:
        out.write(f"{problem}\n")
    for warning in warnings:
        out.write(f"warning: {warning}\n")
    if containerssh and settings is not None:
        for difference in differences(settings, RawFile(path, data).paths()):
            out.write(f"different: {difference}\n")
    if not problems:
        if settings and settings.backend == "docker" and RECOMMENDED not in RawFile(path, data).paths():
            out.write(f"recommended: {HARDENING}\n")
        out.write("ok\n")
    return 1 if problems else 0


def located(settings: Settings, folder: Path) -> Settings:
    """The same settings, with names of files that are relative seen from `folder` and `~` replaced."""

    def at(name: str) -> str:
        return str(folder / Path(name).expanduser())

    hostkeys = (
        key if not key.strip() or key.lstrip().startswith("-----") else at(key) for key in settings.ssh.hostkeys
    )
    directory = settings.record.directory
    return replace(
        settings,
        ssh=replace(settings.ssh, hostkeys=tuple(hostkeys)),
        auth=_auth_located(settings.auth, folder),
        configserver=_http_located(settings.configserver, at),
        log=replace(settings.log, file=at(settings.log.file) if settings.log.file else ""),
        record=replace(settings.record, directory=at(directory) if directory else ""),
        state=at(settings.state) if settings.state else "",
    )


def _auth_located(auth: Auth, folder: Path) -> Auth:
    def at(name: str) -> str:
        return str(folder / Path(name).expanduser())

    def keys_at(entries: Iterable[str]) -> tuple[str, ...]:
        return tuple(entry if not entry.strip() or " AAAA" in entry else at(entry) for entry in entries)

    def asked_at(section: AskWebhook) -> AskWebhook:
        return replace(section, webhook=_http_located(section.webhook, at))

    users = {name: replace(user, authorized_keys=keys_at(user.authorized_keys)) for name, user in auth.users.items()}
    interactive = auth.keyboard_interactive
    oauth2 = replace(interactive.oauth2, oidc=_http_located(interactive.oauth2.oidc, at))
    return replace(
        auth,
        users=users,
        users_file=at(auth.users_file) if auth.users_file else "",
        revoked_keys=at(auth.revoked_keys) if auth.revoked_keys else "",
        trusted_user_ca_keys=keys_at(auth.trusted_user_ca_keys),
        password=asked_at(auth.password),
        public_key=asked_at(auth.public_key),
        authz=asked_at(auth.authz),
        keyboard_interactive=replace(interactive, oauth2=oauth2),
    )


def _http_located(http: H, at: Callable[[str], str]) -> H:
    """The certificates and the key of a web service, each a PEM text or the name of a file."""
    names = {name: getattr(http, name) for name in ("cacert", "cert", "key")}
    return replace(
        http, **{name: at(text) if text and "-----BEGIN" not in text else text for name, text in names.items()}
    )


def _order(problem: Problem) -> tuple[bool, int]:
    """As in the file; what has no place in it comes last."""
    return problem.line == 0, problem.line


def read_file(path: Path) -> bytes:
    """What is in it. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from None
    if len(data) > FILE_BYTES_MAX:
        raise Unreadable(f"{path}: larger than {FILE_BYTES_MAX} bytes")
    return data


class _Scanner(Scanner):
    """Gives up on brackets in brackets before there are so many that each takes long."""

    def fetch_flow_collection_start(self, *what: Any, **how: Any) -> None:
        if self.flow_level >= BRACKETS_MAX:
            raise RecursionError
        super().fetch_flow_collection_start(*what, **how)


class RawFile:
    """A file as a raw tree, the line of each path in it, and keys that it gives twice."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.name = str(path)
        self.problems: list[Problem] = []
        self._lines: dict[str, int] = {}  # path in lower case -> line, from 1
        self._values = 0
        try:
            self.tree = self._json(data) if path.suffix == ".json" else self._yaml(data)
        except RecursionError:
            raise Unreadable(f"{path}: nested too deep") from None

    def take_in_users(self, folder: Path) -> None:
        """Put what `auth.usersFile` holds among `auth.users`. What is no mapping is left for the reader to refuse."""
        auth = self.tree.get("auth") if isinstance(self.tree, dict) else None
        name = auth.get("usersFile") if isinstance(auth, dict) else None
        if not isinstance(self.tree, dict) or not isinstance(auth, dict) or not isinstance(name, str) or not name:
            return
        where = "auth.usersFile"
        try:
            file = folder / Path(name).expanduser()
            more = RawFile(file, read_file(file))
        except Unreadable as error:
            self.problems.append(Problem(where, str(error)))
            return
        users = {} if resolved(auth.get("users")) is None else auth.get("users")
        added = {} if resolved(more.tree) is None else more.tree
        if not isinstance(users, dict) or not isinstance(added, dict):
            self.problems.append(Problem(where, f"{more.name} is not a mapping of user names"))
            return
        self.problems += [Problem(where, f"in {more.name}: {problem}") for problem in more.problems]
        twice = [f"the user {user!r} is in {more.name} as well" for user in added if user in users]
        self.problems += [Problem(where, found, advice="keep one") for found in twice]
        self.tree = {**self.tree, "auth": {**auth, "users": {**added, **users}}}

    def with_lines(self, problems: Iterable[Problem]) -> list[Problem]:
        return [replace(problem, line=self._line(problem.path)) for problem in problems]

    def paths(self) -> frozenset[str]:
        """Every key and item that the file has, in lower case."""
        return frozenset(_paths(self.tree, ""))

    def _line(self, path: str) -> int:
        """The line of `path`, or of the nearest thing around it; 0 for the whole file."""
        path = path.lower()
        while path and path not in self._lines:
            path = above(path)
        return self._lines[path] if path else 0

    def _json(self, data: bytes) -> object:
        def constant(name: str) -> object:
            raise ValueError(f"{name} is no JSON")

        try:
            tree = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_Pairs, parse_constant=constant)
        except ValueError as error:
            raise Unreadable(f"{self.name}: {error}") from None
        return self._unpaired(tree, "")

    def _unpaired(self, value: object, path: str) -> object:
        if isinstance(value, _Pairs):
            result: dict[str, object] = {}
            for key, item in value:
                self._once(key in result, join(path, key))
                result[key] = self._unpaired(item, join(path, key))
            return result
        if isinstance(value, list):
            return [self._unpaired(item, f"{path}[{index}]") for index, item in enumerate(value)]
        return value

    def _once(self, is_again: bool, path: str) -> None:
        if is_again:
            self.problems.append(Problem(path, "this key is given twice", advice="keep one"))

    def _yaml(self, data: bytes) -> object:
        try:
            yaml = YAML(typ="safe", pure=True)
            yaml.Scanner = _Scanner
            yaml.composer.warn_double_anchors = False  # YAML allows it, and a library's warning is no word to a user
            node = yaml.compose(data)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            why = ", ".join(part for part in (error.context, error.problem) if part)
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            raise Unreadable(f"{self.name}: {where}{why}") from None
        except YAMLError as error:
            raise Unreadable(f"{self.name}: {str(error).splitlines()[0]}") from None
        except KeyError:  # the library's word for a %YAML directive that it has no rules for
            raise Unreadable(f"{self.name}: %YAML names a version that is neither 1.1 nor 1.2; leave it out") from None
        return None if node is None else self._built(node, "", ())

    def _built(self, node: Node, path: str, around: tuple[int, ...]) -> object:
        """What `node` says. Unquoted scalars stay text of the class Plain, for their meaning hangs on their key."""
        line = node.start_mark.line + 1
        self._lines.setdefault(path.lower(), line)
        self._values += 1
        if self._values > VALUES_MAX:
            raise Unreadable(f"{self.name}: more than {VALUES_MAX} values")
        if id(node) in around:
            raise Unreadable(f"{self.name}: line {line}: an alias that holds itself")
        around = (*around, id(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path, around)
        if isinstance(node, SequenceNode):
            return [self._built(item, f"{path}[{index}]", around) for index, item in enumerate(node.value)]
        if not isinstance(node, ScalarNode) or node.tag not in _TAGS:
            raise Unreadable(f"{self.name}: line {line}: the tag {node.tag} is not understood")
        text = str(node.value)
        return Plain(text) if node.style is None else text

    def _mapping(self, node: MappingNode, path: str, around: tuple[int, ...]) -> dict[object, object]:
        result: dict[object, object] = {}
        merged: list[object] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.problems.append(Problem(path, "a key that is not text", "text"))
                continue
            key = str(key_node.value)
            here = join(path, key)
            if key == "<<" and key_node.style is None:
                value = self._built(value_node, path, around)
                merged += value if isinstance(value, list) else [value]
                continue
            self._once(key in result, here)
            self._lines[here.lower()] = key_node.start_mark.line + 1
            result[key] = self._built(value_node, here, around)
        for other in merged:  # what is said here goes before what is merged in
            result = {**other, **result} if isinstance(other, dict) else result
        return result


def _paths(tree: object, path: str) -> Iterator[str]:
    if path:
        yield path.lower()
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _paths(value, join(path, str(key)))


class _Pairs(list[tuple[str, object]]):
    """A JSON object with all its members, even those given twice."""
