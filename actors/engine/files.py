"""Files for one login, as an archive that the engine unpacks into its container. Pure."""

import io
import posixpath
import tarfile
from collections.abc import Mapping

FILE_MODE = 0o600  # they may be secrets, and are the user's alone


def archive(files: Mapping[str, bytes], uid: int, gid: int) -> bytes:
    """A tar of absolute paths seen from `/`. Folders are not in it: the engine makes those that are missing, and an
    entry for one that is there would change its mode."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(posixpath.normpath(f"/{path}").lstrip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(content), FILE_MODE, uid, gid
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def owner(user: str, passwd: str) -> tuple[int, int]:
    """Who a container's `User` (`1000`, `ann`, `ann:staff`, `1000:50`, empty) is, by its /etc/passwd."""
    name, _, group = user.partition(":")
    rows = (line.split(":") for line in passwd.splitlines())
    known = next((row for row in rows if len(row) > 3 and name in (row[0], row[2])), None)
    ids = [int(row) if row.isdigit() else 0 for row in (known[2:4] if known else (name, "0"))]
    return ids[0], int(group) if group.isdigit() else ids[1]


def only_file(tar: bytes) -> str:
    """The text of the one file in an archive; empty when there is none."""
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        first = members.next()
        file = members.extractfile(first) if first is not None else None
        return "" if file is None else file.read().decode(errors="replace")
