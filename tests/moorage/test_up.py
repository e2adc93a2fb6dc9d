"""What `moorage up` takes from the system before it serves."""

import pytest
from msgspec.structs import replace

from moorage import debian
from moorage.commands.up import needs
from protocol.settings import GUEST_IMAGE, Docker, DockerConnection, Settings


@pytest.mark.parametrize("root", [True, False])
def test_what_it_needs_is_what_the_configuration_uses(monkeypatch: pytest.MonkeyPatch, root: bool) -> None:
    """Who cannot install ssh is not kept from serving: the clients may be elsewhere."""
    monkeypatch.setattr(debian, "may_install", lambda: root)
    login = ["login"] if root else []
    usual = Settings()
    assert usual.docker.execution.container["Image"] == GUEST_IMAGE
    assert needs(usual) == ["engine", "guest", *login]
    elsewhere = DockerConnection(host="tcp://192.0.2.1:2376")
    assert needs(replace(usual, docker=Docker(connection=elsewhere))) == ["guest", *login]
    image = replace(usual.docker.execution, container={"Image": "debian:12"})
    assert needs(replace(usual, docker=Docker(execution=image))) == ["engine", *login]
