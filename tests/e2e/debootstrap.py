"""A Debian root file system, from where this machine's apt has its packages."""

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.fixtures_engine import missing


def bootstrap(folder: Path) -> bytes:
    """The smallest Debian of this machine's release, as a tar. Takes a minute."""
    if not shutil.which("debootstrap"):
        missing("no debootstrap (Debian: debootstrap)")
    listed = ["apt-get", "indextargets", "--format", "$(CODENAME) $(SITE)", "Created-By: Packages"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    if len(found) < 2:
        missing("apt-get knows no place of packages (apt-get update)")
    command = ["debootstrap", "--variant=minbase", found[0], str(folder), found[1]]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        missing(f"debootstrap failed: {made.stdout.strip().splitlines()[-1:]}")
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder, arcname=".", filter=lambda entry: None if entry.isdev() else entry)
    return buffer.getvalue()
