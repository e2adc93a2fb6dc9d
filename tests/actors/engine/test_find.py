"""Where the engine is looked for."""

import socket
from pathlib import Path

import pytest

from actors.engine import find
from actors.engine.find import find_engine
from actors.ports import EngineFault


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCKER_HOST", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_given_host_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://there:2375")
    assert find_engine("unix:///here") == "unix:///here"
    assert find_engine() == "tcp://there:2375"


def test_order_of_the_usual_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    tried: list[str] = []
    monkeypatch.setattr(find, "_why_silent", lambda path: tried.append(path) or "gone")
    with pytest.raises(EngineFault) as caught:
        find_engine()
    assert tried == [
        "/var/run/docker.sock",
        "/run/user/7/docker.sock",
        "/run/podman/podman.sock",
        "/run/user/7/podman/podman.sock",
    ]
    assert caught.value.fault == "unavailable"
    assert all(path in caught.value.why for path in tried) and "DOCKER_HOST" in caught.value.why


def test_a_dead_socket_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead, live = tmp_path / "dead.sock", tmp_path / "live.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(live))
        listener.listen()
        places = [str(tmp_path / "absent.sock"), str(dead), str(live)]
        monkeypatch.setattr(find, "_usual_sockets", lambda: places)
        assert find_engine() == f"unix://{live}"
        monkeypatch.setattr(find, "_usual_sockets", lambda: places[:2])
        with pytest.raises(EngineFault, match=r"no such file or directory.*connection refused"):
            find_engine()
