"""What the system lacks is installed or named in one sentence, and an engine is found, started or explained."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actors.ports import EngineFault
from moorage import debian, dockerd
from moorage.debian import Missing, Need, bring

SCRIPT = Path(debian.__file__)
NOBODY = 65534
# An engine that drops its first caller, as one that is not ready, and answers the second.
ENGINE = """
import pathlib, socket
server = socket.socket(socket.AF_UNIX)
server.bind({path!r})
server.listen()
server.accept()[0].close()
caller, _ = server.accept()
pathlib.Path({path!r} + ".answered").touch()
caller.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nOK")
server.accept()
"""


def quiet(text: str) -> None:
    raise AssertionError(f"said {text!r}")


def test_nothing_missing_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "NEEDS", {"this": (Need("python3", lambda: True),)})
    bring(["this"], quiet)


def test_who_is_not_root_reads_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = (Need("one", lambda: False), Need("two", lambda: False), Need("there", lambda: True))
    monkeypatch.setattr(debian, "NEEDS", {"this": needs, "that": needs[:1]})
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(Missing) as caught:
        bring(["this", "that"], quiet)
    assert str(caught.value) == (
        "this machine lacks one, two (names of Debian's packages): install with `apt-get install one two` as root, "
        "or what your system calls them, and try again"
    )


@pytest.fixture
def no_engine_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without engine or socket; the folder is the user's own for sockets, and first on the path."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(debian, "SYSTEM_PATH", str(tmp_path))
    monkeypatch.setattr(debian, "SYSTEM_SOCKETS", (str(tmp_path / "system.sock"),))
    return tmp_path


def test_an_engine_is_one_that_listens(no_engine_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that its engine left behind is none; one that lets in others only is."""
    assert not debian.ENGINE.here()
    for name in ("system.sock", "docker.sock"):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(no_engine_here / name))
            server.listen()
            assert debian.ENGINE.here()
        assert not debian.ENGINE.here(), "the file is still there"
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert debian.ENGINE.here()


def test_a_socket_for_others_is_an_engine(no_engine_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert debian.ENGINE.here()


@pytest.mark.parametrize(("name", "user", "here"), [("dockerd", 0, True), ("podman", 0, False), ("podman", 1, True)])
def test_a_program_that_makes_an_engine(
    no_engine_here: Path, monkeypatch: pytest.MonkeyPatch, name: str, user: int, here: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    write_program(no_engine_here / name, "exit 1")
    assert debian.ENGINE.here() is here


def test_it_runs_as_a_program_before_there_is_anything_else() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(SCRIPT), "install"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_engine_that_was_named_is_taken_and_the_commands_code_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nobody/here.sock")
    monkeypatch.chdir(tmp_path)
    assert dockerd.main([sys.executable, "-c", "raise SystemExit(5)"]) == 5
    assert not list(tmp_path.iterdir())


def no_engine(host: str = "") -> str:
    raise EngineFault("unavailable", "no container engine found; tried /none")


def test_without_an_engine_and_without_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dockerd, "find_engine", no_engine)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY)
    with pytest.raises(Missing, match=r"^no container engine found; tried /none; start one as root .*DOCKER_HOST"):
        dockerd.bring_engine(tmp_path, say=quiet)
    command = [sys.executable, "-c", "print('tests run, those of the engine skip')"]
    monkeypatch.delenv("MOORAGE_REQUIRE_ENGINE", raising=False)
    assert dockerd.main(command) == 0
    assert "tests run" in capfd.readouterr().out
    monkeypatch.setenv("MOORAGE_REQUIRE_ENGINE", "1")
    assert dockerd.main(command) == 1
    assert capfd.readouterr().out == ""


@pytest.fixture
def own_dockerd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A program of that name, found first; no engine answers, and no systemd is asked."""
    script = tmp_path / "bin" / "dockerd"
    script.parent.mkdir()
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(dockerd, "find_engine", no_engine)
    monkeypatch.setattr(dockerd, "SYSTEMD", tmp_path / "no-systemd")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return script


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_dockerd_that_cannot_run_is_quoted(own_dockerd: Path, tmp_path: Path) -> None:
    write_program(own_dockerd, "echo starting up; echo 'failed to start daemon: not allowed' >&2; exit 1")
    said: list[str] = []
    with pytest.raises(Missing) as caught:
        dockerd.bring_engine(tmp_path / "var", say=said.append)
    assert str(caught.value) == "Docker cannot run here: dockerd ended: failed to start daemon: not allowed"
    assert said == [f"starting Docker: {own_dockerd} (its log: {tmp_path}/var/dockerd.log)"]


def test_a_dockerd_that_never_answers_is_ended(
    own_dockerd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(own_dockerd, "echo $$; exec sleep 60")
    monkeypatch.setattr(dockerd, "START_SECONDS_MAX", 0.3)
    with pytest.raises(Missing, match=r"does not answer after .*its log is"):
        dockerd.bring_engine(tmp_path / "var", say=lambda text: None)
    pid = int((tmp_path / "var" / "dockerd.log").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_a_dockerd_that_answers_is_handed_over(
    own_dockerd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listens at once and answers later, as the real one does: taking a connection proves nothing."""
    path = tmp_path / "docker.sock"
    write_program(own_dockerd, f"exec {sys.executable} {tmp_path}/engine.py")
    (tmp_path / "engine.py").write_text(ENGINE.format(path=str(path)))

    def find(host: str = "") -> str:
        return f"unix://{path}" if path.exists() else no_engine()

    monkeypatch.setattr(dockerd, "find_engine", find)
    process = dockerd.bring_engine(tmp_path / "var", say=lambda text: None)
    assert process is not None
    assert process.poll() is None
    assert (tmp_path / "docker.sock.answered").exists()
    assert os.getsid(process.pid) == process.pid, "Ctrl-C of our terminal is not meant for it"
    dockerd.end(process)
    assert process.poll() is not None
