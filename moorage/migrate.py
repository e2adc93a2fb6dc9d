"""`moorage migrate`: a ContainerSSH configuration of before 0.4, written anew in the structure of today.

The file is changed as a tree that keeps its comments; each change leaves a comment that says what was done and why.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import CommentToken

from moorage.config import Unreadable, load_text, read_file
from protocol.settings_legacy import LISTEN
from protocol.settings_problem import SettingsError
from protocol.settings_types import CONTAINERSSH_IMAGE

OTHERS = {"kuberun": "Kubernetes", "kubernetes": "Kubernetes", "sshproxy": "SSH proxy"}
TIMEOUTS = ("containerStart", "containerStop", "commandStart", "signal", "window", "http")
HTTP_CLIENT = ("url", "timeout", "cacert", "cert", "key")
# Keys anywhere in the file whose bare number is a length of time in nanoseconds.
DURATIONS = frozenset({"timeout", "authTimeout", "clientAliveInterval", *TIMEOUTS})


class Cannot(Exception):
    """There is nothing to be made of this file; the text is one sentence."""


def migrate(path: Path, out: TextIO, err: TextIO) -> int:
    """Write the new file to `out` and what is left to do to `err`. 0: usable, 1: not yet, 2: it cannot be read."""
    try:
        text = migrated(read_file(path), path.name)
    except (Unreadable, Cannot) as error:
        err.write(f"moorage: {error}\n")
        return 2
    out.write(text)
    try:
        load_text(path.with_suffix(".yaml"), text.encode())
    except SettingsError as error:
        for problem in error.problems:
            err.write(f"to be done: {problem}\n")
        return 1
    return 0


def migrated(data: bytes, name: str) -> str:
    """The new file's text. Raises Cannot."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes, yaml.width = True, 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    try:
        tree = yaml.load(data)
    except YAMLError as error:
        raise Cannot(f"{name}: {str(error).splitlines()[0]}") from None
    if not isinstance(tree, CommentedMap):
        raise Cannot(f"{name}: not a mapping")
    before = list(_comments(tree))
    for change in CHANGES:
        change(tree)
    stream = io.StringIO()
    yaml.dump(tree, stream)
    text = stream.getvalue()
    left = list(_comments(yaml.load(text)))
    lost = [line for line in before if line not in left]
    return text + "".join(f"{line}\n" for line in (["# migrated: comments on what is gone:", *lost] if lost else []))


def _comments(tree: object) -> Iterator[str]:
    """Every line of every comment in it, wherever the library hangs them up."""
    if not isinstance(tree, CommentedMap | CommentedSeq):
        return
    yield from _lines([tree.ca.comment, tree.ca.end, *tree.ca.items.values()])
    for value in tree.values() if isinstance(tree, CommentedMap) else tree:
        yield from _comments(value)


def _lines(tokens: object) -> Iterator[str]:
    if isinstance(tokens, CommentToken):
        yield from (line.strip() for line in tokens.value.splitlines() if line.strip())
    elif isinstance(tokens, list | tuple):
        for token in tokens:
            yield from _lines(token)


# The changes, in their order.


def _backend(tree: CommentedMap) -> None:
    """Which backend it is for; trees of others go."""
    backend = tree.get("backend")
    if backend in OTHERS:
        raise Cannot(f"the backend is {backend}: Moorage has no {OTHERS[backend]} backend")
    is_old = backend == "dockerrun" or (not backend and bool(tree.get("dockerrun")) and not tree.get("docker"))
    for key, what in OTHERS.items():
        if tree.pop(key, None):
            _explain(tree, None, f"{key} was taken out: there is no {what} backend, and it was not in use.")
    if not is_old and "dockerrun" in tree and tree.pop("dockerrun"):
        _explain(tree, None, "dockerrun was taken out: it was not in use, because the backend is docker.")
    if is_old:
        tree.pop("docker", None)
        _rename(tree, "dockerrun", "docker", tree.get("dockerrun") or CommentedMap())
        tree["backend"] = "docker"
        _explain(tree, "backend", "Was dockerrun, deprecated since ContainerSSH 0.4.")
        _docker(tree)


def _docker(tree: CommentedMap) -> None:
    """`docker` still holds what `dockerrun` did."""
    old = tree["docker"]
    above = old.ca.items.get("config")
    config = old.get("config") or CommentedMap()
    connection, execution, timeouts = CommentedMap(), CommentedMap(), CommentedMap()
    for key in ("host", "cacert", "cert", "key"):
        _move(old, key, connection)
    disabled, timeout = config.pop("disableCommand", False), config.pop("timeout", None) or "60s"
    for key in list(config):
        _move(config, key, execution)
    container = execution.setdefault("container", CommentedMap())
    if container is None:
        container = execution["container"] = CommentedMap()
    if not any(str(key).lower() == "image" for key in container):
        container["image"] = CONTAINERSSH_IMAGE
        _explain(container, "image", "Was the default, which is another one now.", 6)
    new = CommentedMap(connection=connection, execution=execution, timeouts=timeouts)
    if above is not None:
        new.ca.items["execution"] = above
    tree["docker"] = new
    _explain(tree, "docker", "Was dockerrun. The new tree has three parts: connection, execution and timeouts.")
    if connection:
        _explain(new, "connection", "Stood at the root of dockerrun.", 2)
    else:
        del new["connection"]
    _explain(new, "execution", "Was dockerrun.config.", 2)
    for key, value, why in (
        ("mode", "session", "dockerrun made a container for each session. `connection` makes one for each connection."),
        ("imagePullPolicy", "Always", "dockerrun pulled the image each time. IfNotPresent saves the pull."),
        (
            "shellCommand",
            _flow(),
            "dockerrun ran the image's own CMD when no command was given, as an empty list does.",
        ),
        ("disableAgent", True, "dockerrun knew no guest agent."),
    ):
        execution[key] = value
        _explain(execution, key, why, 4)
    for key in TIMEOUTS:
        timeouts[key] = timeout
    _explain(new, "timeouts", "Was dockerrun.config.timeout, one for all.", 2)
    if disabled is True or str(disabled).lower() in ("y", "yes", "on", "true"):
        _disable_commands(tree)


def _disable_commands(tree: CommentedMap) -> None:
    security = tree.get("security") or CommentedMap()
    tree["security"] = security
    command = security.get("command") or CommentedMap()
    security["command"] = command
    command["mode"] = "disable"
    _explain(command, "mode", "Was dockerrun.config.disableCommand.", 4)


def _listen(tree: CommentedMap) -> None:
    if "listen" not in tree:
        return
    listen = tree.pop("listen")
    ssh = tree.get("ssh") or CommentedMap()
    if listen and ssh.get("listen") in (None, "", LISTEN):
        ssh.pop("listen", None)
        ssh.insert(0, "listen", listen)
        if "ssh" in tree:
            tree["ssh"] = ssh
        else:
            tree.insert(0, "ssh", ssh)
        _explain(ssh, "listen", "Stood at the root of the file, which is deprecated since ContainerSSH 0.4.", 2)
    elif listen:
        _explain(tree, None, "listen was taken out: ssh.listen goes before it.")


def _auth(tree: CommentedMap) -> None:
    """`auth.url`, `auth.password: true`, `auth.pubkey: true`: one web service for all, before 0.5."""
    auth = tree.get("auth")
    if not isinstance(auth, CommentedMap) or not any(
        isinstance(auth.get(key), bool | str) for key in ("url", "password", "pubkey")
    ):
        return
    client = CommentedMap()
    for key in HTTP_CLIENT:
        _move(auth, key, client)
    kinds = (("password", "password", auth.pop("password", True)), ("pubkey", "publicKey", auth.pop("pubkey", False)))
    for old, new, wanted in kinds:
        if wanted is not True or not client.get("url"):
            continue
        webhook = CommentedMap((key, value) for key, value in client.items() if value not in (None, ""))
        auth[new] = CommentedMap(method="webhook", webhook=webhook)
        _explain(auth, new, f"Was auth.{old}, with auth.url and the keys beside it.", 2)
    if not auth:
        auth["users"] = _flow(CommentedMap())
        why = "There was no way in. Write one: {NAME: {authorizedKeys: [FILE_OR_KEY]}}"
        _explain(auth, "users", why, 2)


def _image(tree: CommentedMap) -> None:
    """A `docker` tree without an image has another default here."""
    docker = tree.get("docker")
    execution = docker.get("execution") if isinstance(docker, CommentedMap) else None
    container = execution.get("container") if isinstance(execution, CommentedMap) else None
    if isinstance(container, CommentedMap) and not any(str(key).lower() == "image" for key in container):
        container["image"] = CONTAINERSSH_IMAGE
        _explain(container, "image", "ContainerSSH's default, written out because Moorage has another.", 6)


def _durations(tree: CommentedMap) -> None:
    for parent, key, number in list(_bare_numbers(tree)):
        parent[key] = f"{number / 1e9:.9g}s" if number else 0
        if number and not parent.fa.flow_style():
            parent.yaml_add_eol_comment(f"was {number}, which is in nanoseconds", key)


def _bare_numbers(tree: object) -> Iterator[tuple[CommentedMap, str, int]]:
    if isinstance(tree, CommentedMap):
        for key, value in tree.items():
            if key in DURATIONS and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                yield tree, key, value
            yield from _bare_numbers(value)
    elif isinstance(tree, CommentedSeq):
        for item in tree:
            yield from _bare_numbers(item)


CHANGES: tuple[Callable[[CommentedMap], None], ...] = (_backend, _listen, _auth, _image, _durations)


# Within the tree.


def _explain(tree: CommentedMap, key: str | None, why: str, indent: int = 0) -> None:
    """A comment above `key`; without one, at the head of the file."""
    text = f"migrated: {why}"
    if key is None:
        before = tree.ca.comment[1] if tree.ca.comment else None
        old = "".join(token.value for token in before or ()).strip("\n")
        lines = [line.removeprefix("#").removeprefix(" ") for line in old.splitlines()]
        tree.yaml_set_start_comment("\n".join([*lines, text]) + "\n")
    else:
        tree.yaml_set_comment_before_after_key(key, before=text, indent=indent)


def _move(old: CommentedMap, key: str, new: CommentedMap) -> None:
    """With the comment behind it."""
    if key not in old:
        return
    comment = old.ca.items.pop(key, None)
    new[key] = old.pop(key)
    if comment is not None:
        new.ca.items[key] = comment


def _rename(tree: CommentedMap, old: str, new: str, value: Any) -> None:
    """In its place."""
    place = list(tree).index(old) if old in tree else len(tree)
    comment = tree.ca.items.pop(old, None)
    tree.pop(old, None)
    tree.insert(place, new, value)
    if comment is not None:
        tree.ca.items[new] = comment


def _flow(value: Any = None) -> Any:
    """Written in brackets or braces."""
    value = CommentedSeq() if value is None else value
    value.fa.set_flow_style()
    return value
