"""The program that prints keys: what it is given, and when it is ended."""

import os
from pathlib import Path

import pytest
import trio

from actors import command
from actors.command import expand, run_keys_command
from actors.ports import OutsideFault
from protocol.settings_auth import KeysCommand

TOKENS = {"u": "ann; rm -rf /", "t": "ssh-ed25519", "k": "AAAA", "f": "SHA256:x"}


def script(folder: Path, text: str) -> str:
    path = folder / "keys-of"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    for around in (folder, *folder.parents):
        if around.stat().st_uid == os.geteuid() and around.name.startswith(("test_", "pytest", "popen-")):
            around.chmod(around.stat().st_mode | 0o755)
    return str(path)


def settings(*argv: str, timeout: float = 10.0) -> KeysCommand:
    return KeysCommand(command=argv, user="nobody" if os.geteuid() == 0 else "", timeout=timeout)


def test_tokens_are_replaced_once_and_never_split() -> None:
    assert expand(["/x%u", "%u", "a%%u", "%t %k", "%f"], {**TOKENS, "u": "%k b"}) == [
        "/x%u", "%k b", "a%u", "ssh-ed25519 AAAA", "SHA256:x",
    ]  # fmt: skip
    for argument in ("%", "%z"):
        with pytest.raises(ValueError, match="is not one of"):
            expand(["/x", argument], TOKENS)


@pytest.mark.trio
async def test_what_it_prints_is_taken_and_nothing_is_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    path = script(tmp_path, 'printf "%s|" "$@"; env; pwd; id -un; read x; echo "read: $?"; echo err >&2')
    lines = (await run_keys_command(settings(path, "%u", "-%f-"), TOKENS)).splitlines()
    assert lines[0].startswith("ann; rm -rf /|-SHA256:x-|")
    text = "\n".join(lines)
    assert "hunter2" not in text and "err" not in lines
    assert lines[-3:] == ["/", "nobody" if os.geteuid() == 0 else lines[-2], "read: 1"]


@pytest.mark.trio
async def test_a_status_other_than_0_is_no_keys(tmp_path: Path) -> None:
    assert await run_keys_command(settings(script(tmp_path, "echo keys; exit 1")), TOKENS) == ""


@pytest.mark.trio
async def test_its_time_and_that_of_its_children_ends(tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 1000 & echo $! > /tmp/keys-of-{os.getpid()}; wait")
    child = Path(f"/tmp/keys-of-{os.getpid()}")
    try:
        with pytest.raises(OutsideFault, match=r"took longer than 0\.5 s"):
            await run_keys_command(settings(path, timeout=0.5), TOKENS)
        with trio.fail_after(10):
            while _is_alive(_taken(child)):
                await trio.lowlevel.checkpoint()
    finally:
        _drop(child)


def _taken(path: Path) -> str:
    return path.read_text().strip()


def _drop(path: Path) -> None:
    path.unlink(missing_ok=True)


def _is_alive(number: str) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.trio
async def test_its_output_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "OUTPUT_BYTES_MAX", 1000)
    with pytest.raises(OutsideFault, match="prints more than 1000 bytes"):
        await run_keys_command(settings(script(tmp_path, "yes")), TOKENS)


@pytest.mark.trio
@pytest.mark.parametrize("name", ["/no/such/program", "not-executable"])
async def test_one_that_cannot_be_run_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "not-executable").write_text("x")
    with pytest.raises(OutsideFault, match="cannot be run") as caught:
        await run_keys_command(settings(str(tmp_path / name)), TOKENS)
    assert caught.value.fault == "denied"


@pytest.mark.trio
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be asked to be somebody else")
@pytest.mark.parametrize(("user", "sentence"), [("", "wants an account"), ("no-such-user", "there is no account")])
async def test_root_runs_it_as_somebody_else(user: str, sentence: str) -> None:
    with pytest.raises(OutsideFault, match=sentence):
        await run_keys_command(KeysCommand(command=("/bin/true",), user=user), TOKENS)


@pytest.mark.trio
async def test_who_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    path = script(tmp_path, "exec sleep 999")
    with trio.move_on_after(0.3):
        await run_keys_command(settings(path), TOKENS)
    assert _children() == []


def _children() -> list[Path]:
    found = [path for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == os.getpid()]
    return [path for path in found if "(sleep)" in path.read_text()]


def _parent(path: Path) -> int:
    try:
        return int(path.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
