"""Passwords against crypt-style hashes: argon2id, bcrypt and sha512-crypt.

A check costs tens of milliseconds on purpose, so it runs in a thread, two at a time: guessing must not slow the
sessions that are there. A name that nobody has costs the same as a wrong password, or the clock would tell the names.
"""

import secrets
from collections.abc import Iterable
from functools import cache

import trio
from passlib.context import CryptContext  # type: ignore[import-untyped]

THREADS_MAX = 2
PASSWORD_BYTES_MAX = 1024  # nobody types more; hashing what a stranger sends must have an end
BCRYPT_BYTES_MAX = 72  # what bcrypt looks at, in every implementation

# OWASP's argon2id: 19 MiB, two passes, one lane. Heavier ones would let a few guessers take the memory of the host.
_CONTEXT = CryptContext(
    schemes=["argon2", "bcrypt", "sha512_crypt"],
    argon2__type="ID",
    argon2__memory_cost=19456,
    argon2__time_cost=2,
    argon2__parallelism=1,
)
_limiter: trio.CapacityLimiter | None = None


def make_hash(password: str) -> str:
    """A new argon2id hash for `auth.users.NAME.passwordHash`. ValueError for a password that can never be checked."""
    given = password.encode()
    if not given or len(given) > PASSWORD_BYTES_MAX or b"\0" in given:
        raise ValueError(f"a password has 1 to {PASSWORD_BYTES_MAX} bytes and no NUL")
    return str(_CONTEXT.hash(given))


def decoy(hashes: Iterable[str]) -> str:
    """A hash like the first of `hashes` (none: like `make_hash`'s) in kind and cost, which no password fits."""
    model = next((hash_ for hash_ in hashes if hash_), "") or make_hash("x")
    start = len(model) - 31 if model.startswith("$2") else model.rindex("$") + 1  # bcrypt: salt and digest are one run
    return model[:start] + _noise(model[start:])


def _noise(digest: str) -> str:
    """As long as `digest` and as well-formed: its own characters, shuffled, which nobody can aim at."""
    characters = list(digest[:-1])
    secrets.SystemRandom().shuffle(characters)
    return "".join(characters) + digest[-1]  # the last one has unused bits that must stay clear


@cache
def dummy() -> str:
    """The decoy where no user has a hash; made once, when first needed."""
    return decoy(())


def verify_sync(hash_: str, password: str) -> bool:
    """Whether `password` fits `hash_`. Empty `hash_`: nobody's, so False, after as long as a real check takes.

    Never raises: what a client sends and what a file holds are answered with False.
    """
    given = password.encode("utf-8", "surrogatepass")[:PASSWORD_BYTES_MAX]
    known = hash_ or dummy()
    if known.startswith("$2"):
        given = given[:BCRYPT_BYTES_MAX]
    is_possible = b"\0" not in given and len(password) <= PASSWORD_BYTES_MAX
    try:
        fits = bool(_CONTEXT.verify(given.replace(b"\0", b"?"), known))
    except (ValueError, TypeError):
        return False
    return fits and is_possible and bool(hash_)


async def verify(hash_: str, password: str) -> bool:
    """`verify_sync` in a thread. A caller that is cancelled goes at once; the thread ends by itself."""
    global _limiter
    if _limiter is None:
        _limiter = trio.CapacityLimiter(THREADS_MAX)
    return await trio.to_thread.run_sync(verify_sync, hash_, password, limiter=_limiter, abandon_on_cancel=True)
