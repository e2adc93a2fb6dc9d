"""Whose a login's files are, and the archive that they travel in."""

import io
import tarfile

import pytest

from actors.engine.files import archive, only_file, owner

PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:50::/home/ann:/bin/sh\nbroken\nnumber:x:7:8::/:\n"


@pytest.mark.parametrize(
    ("user", "ids"),
    [
        ("", (0, 0)),
        ("ann", (1000, 50)),
        ("1000", (1000, 50)),
        ("1234", (1234, 0)),
        ("1234:56", (1234, 56)),
        ("ann:60", (1000, 60)),
        ("ann:staff", (1000, 50)),
        ("nobody-knows", (0, 0)),
    ],
)
def test_owner(user: str, ids: tuple[int, int]) -> None:
    assert owner(user, PASSWD) == ids


def test_archive() -> None:
    tar = archive({"/a/b": b"x", "c": b"", "/../d": b"yy", "/long/" + "n" * 200: b"z"}, 1000, 50)
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        found = {member.name: (member.size, member.mode, member.uid, member.gid, member.isfile()) for member in members}
    whose = (0o600, 1000, 50, True)
    assert found == {"a/b": (1, *whose), "c": (0, *whose), "d": (2, *whose), "long/" + "n" * 200: (1, *whose)}
    assert only_file(archive({"/etc/passwd": PASSWD.encode()}, 0, 0)) == PASSWD
    assert only_file(archive({}, 0, 0)) == ""
