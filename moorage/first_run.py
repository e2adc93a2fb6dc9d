"""What `moorage up` makes on its first run, in one folder: a commented configuration, a host key, a demo login.

What is there is left alone, so the files are the user's from then on. Nothing has a default secret: both keys are new.
"""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

CONFIG, HOST_KEY, DEMO_KEY, KNOWN_HOSTS = "moorage.yaml", "ssh_host_ed25519_key", "demo_key", "known_hosts"
DEMO_USER = "demo"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # where a client on this host finds it

TEMPLATE = """\
# Moorage's configuration, written by its first run; change what you like. Names of files are seen from this folder.
# All keys with their defaults: config/moorage.yaml. To check what you wrote: moorage check-config FILE

ssh:
  # Only this machine can reach it. 0.0.0.0:2222 opens it to everybody who has a key or a password below.
  listen: {listen}
  hostkeys: [{host_key}]

auth:
  users:
    # Any name is possible; the image is the same for all. `moorage hash-password` makes a passwordHash.
    {user}:
      authorizedKeys: [{demo_key}.pub]

docker:
  execution:
    container:
      # The image that logins land in. This one is made on this host (`moorage guest-image`), so nothing is pulled.
      image: {image}
    # No new privileges, few capabilities, limits on processes and memory; `engine`: the engine's own defaults.
    hardening: strict
    # connection: one container per SSH connection; session: one per session
    mode: connection
    imagePullPolicy: IfNotPresent
  # Two containers are kept ready, so that a login takes milliseconds.
  pool:
    size: 2

log:
  level: notice
  # ljson for machines
  format: text

# Write a scenario of each connection, for `moorage replay` and `moorage diagram --path`. Empty: none are written.
record:
  directory: "{record}"

# The folder of the instance id and of the locks that tell living containers from orphans.
state: .
"""


class Home(Struct, frozen=True):
    """The folder of the first run and what lies in it."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / CONFIG

    @property
    def demo_key(self) -> Path:
        return self.folder / DEMO_KEY

    @property
    def known_hosts(self) -> Path:
        return self.folder / KNOWN_HOSTS


def prepare(folder: Path, image: str, listen: str = "127.0.0.1:2222", record: str = "") -> Home:
    """Make what is missing in `folder` (it too). With a configuration there, nothing. Raises OSError."""
    home = Home(folder)
    if home.config.exists():
        return home
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, comment in ((HOST_KEY, "moorage"), (DEMO_KEY, DEMO_USER)):
        if not (folder / name).exists():
            _write_key(folder / name, comment)
    text = TEMPLATE.format(
        listen=listen, host_key=HOST_KEY, user=DEMO_USER, demo_key=DEMO_KEY, image=image, record=record
    )
    _write_new(home.config, text.encode(), 0o600)
    return home


def ssh_line(home: Home, address: tuple[str, int], hostkeys: Iterable[str] = (), *words: str) -> list[str]:
    """The command that logs in as the demo user, and writes the known hosts it needs: it asks nothing, ever again.

    `hostkeys` are the configuration's: names of files (or PEM texts). Raises OSError.
    """
    host, port = EVERYWHERE.get(address[0], address[0]), address[1]
    place = host if port == 22 else f"[{host}]:{port}"
    known = "".join(f"{place} {key}\n" for key in map(_public_half, hostkeys) if key)
    home.known_hosts.write_text(known)
    options = ["-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={_for_ssh(home.known_hosts)}"]
    return ["ssh", "-i", _near(home.demo_key), "-p", str(port), *options, f"{DEMO_USER}@{host}", *words]


def as_text(command: list[str]) -> str:
    """A command as one would type it."""
    return shlex.join(command)


def _for_ssh(path: Path) -> str:
    """A file name as an option of ssh wants it: quoted if it has a space, `%` doubled."""
    name = _near(path).replace("%", "%%")
    return f'"{name}"' if " " in name else name


def _near(path: Path) -> str:
    """The path from here if it lies below, which is shorter to read; else in full."""
    full = path.absolute()
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


def _write_key(path: Path, comment: str) -> None:
    """A new ed25519 key in OpenSSH's format, only ours to read, and its public half beside it."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    _write_new(path, private, 0o600)
    public_path = path.with_name(path.name + ".pub")
    public_path.unlink(missing_ok=True)  # of a private half that is gone
    _write_new(public_path, public + f" {comment}\n".encode(), 0o644)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """A file that did not exist, with this mode from its first moment."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(fd, "wb") as file:
        file.write(data)


def _public_half(hostkey: str) -> str:
    """`ssh-ed25519 AAAA…` of a host key, or empty for one that cannot be read here (ssh will ask then)."""
    try:
        data = hostkey.encode() if hostkey.lstrip().startswith("-----") else Path(hostkey).read_bytes()
        key = serialization.load_ssh_private_key(data, None)
    except (OSError, ValueError, UnsupportedAlgorithm):
        return ""
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode()
