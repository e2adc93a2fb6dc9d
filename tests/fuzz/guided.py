"""`python -m tests.fuzz.guided TARGET [libFuzzer's options]`: inputs that reach new code are bent further.

Takes `pip install atheris`, which is no dependency of anything else here.
"""

import sys
from hashlib import sha256

import atheris

with atheris.instrument_imports(include=["protocol", "moorage.config", "actors.web.client"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.__main__ import FOUND


def main() -> None:
    """Does not return: libFuzzer ends the process."""
    target, folder = TARGETS[sys.argv[1]], sys.argv[1].replace(" ", "_")
    corpus = FOUND.parent / "corpus" / folder
    for path in (corpus, FOUND / folder):
        path.mkdir(parents=True, exist_ok=True)
    for data in target.seeds():
        (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    own = ["-timeout=10", f"-artifact_prefix={FOUND / folder}/", *sys.argv[2:], str(corpus)]
    atheris.Setup([sys.argv[0], *own], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
