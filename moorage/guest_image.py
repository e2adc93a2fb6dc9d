"""The default guest image, made on this host without any registry: Debian's static busybox and little else.

The tar is the same byte for byte wherever the same busybox is, and its hash is a label of the image: so an image that
is there already is known without looking inside.
"""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import trio
from msgspec import Struct

from actors.bridge import open_loop
from actors.engine.docker import DockerEngine
from actors.ports import EngineFault
from moorage.debian import Missing, bring, is_static, program
from protocol.settings import DockerConnection

HTTP_SECONDS_MAX = 30.0
LABEL = "moorage.guest"
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHANGES = ('CMD ["/bin/sh"]', f"ENV PATH={SEARCH}", "WORKDIR /root")
_PLAIN = ". bin sbin etc usr usr/bin usr/sbin usr/local usr/local/bin dev proc sys run var var/log home mnt opt srv"
_FOLDERS = {**dict.fromkeys(_PLAIN.split(), 0o755), "root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/shells": "/bin/sh\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/profile": f"export PATH={SEARCH}\numask 022\n",
    "etc/os-release": 'ID=moorage-guest\nNAME="Moorage guest"\nPRETTY_NAME="Moorage guest (busybox)"\n',
}


class Importer(Protocol):
    """The two calls of an engine that this needs."""

    async def image_labels(self, reference: str) -> dict[str, str]: ...
    async def import_image(self, tar: Path, reference: str, changes: tuple[str, ...] = ()) -> str: ...


class Guest(Struct, frozen=True):
    """A root file system, as an uncompressed tar, and the hash it is known by."""

    tar: bytes
    digest: str


async def ensure_guest_image(engine: Importer, reference: str) -> bool:
    """Make the image unless one of the same content has that name. Whether it was made.

    Raises `Missing` (no static busybox), `EngineFault`.
    """
    guest = make_guest()
    try:
        if (await engine.image_labels(reference)).get(LABEL) == guest.digest:
            return False
    except EngineFault as fault:
        if fault.fault != "not_found":
            raise
    with tempfile.NamedTemporaryFile(prefix="moorage-guest-", suffix=".tar") as file:
        file.write(guest.tar)
        file.flush()
        await engine.import_image(Path(file.name), reference, (*CHANGES, f"LABEL {LABEL}={guest.digest}"))
    return True


def make_guest() -> Guest:
    """The guest from this host's busybox. Raises `Missing`."""
    found = program("busybox")
    if found is None or not is_static(Path(found)):
        raise Missing("the guest image is made from a static busybox: `apt-get install busybox-static` as root")
    listing = subprocess.run([found, "--list-full"], capture_output=True, text=True, check=True).stdout
    applets = sorted({path for path in listing.split() if path.rpartition("/")[0] in _FOLDERS})
    tar = guest_tar(Path(found).read_bytes(), applets)
    return Guest(tar, sha256("\n".join(CHANGES).encode() + tar).hexdigest())


def guest_tar(busybox: bytes, applets: list[str]) -> bytes:
    """The tar: folders, files, busybox itself and a link for each applet (`usr/bin/env`). No dates, all root's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in sorted(_FOLDERS.items()):
            _add(tar, name, tarfile.DIRTYPE, mode)
        for name, text in sorted(_FILES.items()):
            _add(tar, name, tarfile.REGTYPE, 0o644, text.encode())
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, busybox)
        for path in applets:
            if path != "bin/busybox":
                _add(tar, path, tarfile.SYMTYPE, 0o777, link="/bin/busybox")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, data: bytes = b"", link: str = "") -> None:
    entry = tarfile.TarInfo(name)  # owner, group and date are 0
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), link
    tar.addfile(entry, io.BytesIO(data))


def make_guest_image(connection: DockerConnection, reference: str, say: Callable[[str], None]) -> None:
    """`moorage guest-image`: bring busybox where we may, then make the image. Raises `Missing`, `EngineFault`."""
    bring(["guest"], say)
    made = trio.run(_on_engine, connection, reference)
    say(f"made the guest image {reference}" if made else f"the guest image {reference} is there already")


async def _on_engine(connection: DockerConnection, reference: str) -> bool:
    async with open_loop(lambda context: None), DockerEngine.open(connection, HTTP_SECONDS_MAX) as engine:
        return await ensure_guest_image(engine, reference)
