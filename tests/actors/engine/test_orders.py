"""From our orders to the API's bodies."""

from typing import Any

import pytest

from actors.engine.orders import (
    DETACH_KEYS,
    checked_name,
    checked_reference,
    container_body,
    container_params,
    exec_body,
    exec_start_body,
    merged_env,
    platform_text,
)
from actors.ports import ContainerOrder, EngineFault, ExecOrder
from protocol.base import Size

SIZE = Size(columns=132, rows=43)


def body(api: tuple[int, int] = (1, 41), **fields: Any) -> dict[str, Any]:
    return container_body(ContainerOrder(**{"name": "n", "token": "t", "image": "i:1", **fields}), api)


def test_least_order() -> None:
    assert body() == {
        "Image": "i:1",
        "Labels": {"moorage.token": "t"},
        "Env": [],
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "HostConfig": {"LogConfig": {"Type": "none", "Config": {}}, "AutoRemove": False},
    }


def test_our_fields_lie_over_the_users() -> None:
    made = body(
        container={
            "Image": "other",
            "Cmd": ["theirs"],
            "Hostname": "h",
            "Labels": {"a": "1", "b": "1", "moorage.token": "forged"},
            "Env": ["A=1", "B=1", "C"],
            "Tty": False,
        },
        host={"AutoRemove": True, "Memory": 5},
        labels={"b": "2"},
        env={"B": "2=3", "D": ""},
        tty=True,
        stdin=True,
        command=["sh", "-c", "x"],
    )
    assert made["Image"] == "i:1" and made["Cmd"] == ["sh", "-c", "x"] and made["Hostname"] == "h"
    assert made["Labels"] == {"a": "1", "b": "2", "moorage.token": "t"}
    assert made["Env"] == ["A=1", "C", "B=2=3", "D="]
    assert made["HostConfig"]["AutoRemove"] is False and made["HostConfig"]["Memory"] == 5
    assert made["Tty"] and made["OpenStdin"] and made["StdinOnce"] and made["AttachStdin"]


def test_no_command_is_the_images_own() -> None:
    assert "Cmd" not in body(container={"Cmd": ["theirs"]})
    assert body(command=[])["Cmd"] == []


def test_entrypoint_kept_replaced_and_none() -> None:
    assert "Entrypoint" not in body()
    assert body(container={"Entrypoint": ["theirs"]})["Entrypoint"] == ["theirs"]
    assert body(entrypoint=["/agent", "serve"])["Entrypoint"] == ["/agent", "serve"]
    assert body(entrypoint=[])["Entrypoint"] == [""]


def test_log_driver_only_if_configured() -> None:
    chosen = {"Type": "local", "Config": {"max-size": "1m"}}
    assert body(host={"LogConfig": chosen})["HostConfig"]["LogConfig"] == chosen
    assert body(host={"LogConfig": {"Type": ""}})["HostConfig"]["LogConfig"]["Type"] == "none"
    assert body(host={"LogConfig": None})["HostConfig"]["LogConfig"]["Type"] == "none"


def test_order_is_not_touched() -> None:
    order = ContainerOrder(name="n", token="t", image="i", container={"Labels": {"a": "1"}}, host={"Memory": 1})
    container_body(order, (1, 42))
    assert order.container == {"Labels": {"a": "1"}} and order.host == {"Memory": 1}


@pytest.mark.parametrize(("api", "sized"), [((1, 41), False), ((1, 42), True), ((1, 55), True)])
def test_first_size_where_it_is_honoured(api: tuple[int, int], sized: bool) -> None:
    order = ExecOrder(container="c", command=["x"], tty=True, size=SIZE)
    for made in (
        body(api, tty=True, size=SIZE)["HostConfig"],
        exec_body(order, api),
        exec_start_body(True, SIZE, api),
    ):
        assert made.get("ConsoleSize") == ([43, 132] if sized else None)
    assert "ConsoleSize" not in exec_start_body(False, SIZE, api)
    assert "ConsoleSize" not in exec_start_body(True, None, api)


def test_exec_body() -> None:
    made = exec_body(
        ExecOrder(container="c", command=("sh", "-c", "a b"), env={"A": "1"}, user="u", directory="/"), (1, 41)
    )
    assert made == {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "DetachKeys": DETACH_KEYS,
        "Cmd": ["sh", "-c", "a b"],
        "Env": ["A=1"],
        "User": "u",
        "WorkingDir": "/",
    }
    assert "ctrl-p" not in DETACH_KEYS


def test_env_merges_by_name() -> None:
    assert merged_env(None, {}) == []
    assert merged_env(["A=1", "AB=2", "A=3"], {"A": "4"}) == ["AB=2", "A=4"]


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        ({}, ""),
        ({"architecture": "", "os": ""}, ""),
        ({"architecture": "arm64"}, "linux/arm64"),
        ({"os": "linux"}, "linux"),
        ({"OS": "linux", "Architecture": "arm", "Variant": "v7"}, "linux/arm/v7"),
        ({"os": "windows", "variant": "v8"}, "windows"),
    ],
)
def test_platform(platform: dict[str, str], text: str) -> None:
    assert platform_text(platform) == text
    params = container_params(ContainerOrder(name="n", token="t", image="i", platform=platform))
    assert params == ({"name": "n", "platform": text} if text else {"name": "n"})


def test_names_and_references_that_fit_a_path() -> None:
    assert checked_name("moorage-1_a.b") == "moorage-1_a.b"
    good = ("a", "a:1", "r.example:5000/a/b@sha256:00", "A/b", "localhost/x:1.2-3_4")
    assert [checked_reference(text) for text in good] == list(good)
    for bad in ("", "..", "../x", "a/../b", "a//b", "a/", "/a", "a?b", "a#b", "a b", "a%2e", "é"):
        with pytest.raises(EngineFault):
            checked_reference(bad)
    for bad in ("", "a/b", ".", "-a", "a?b", "é"):
        with pytest.raises(EngineFault):
            checked_name(bad)
