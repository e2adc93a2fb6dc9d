"""Passwords against crypt-style hashes: argon2id, bcrypt and sha512-crypt.

A check costs tens of milliseconds on purpose, so it runs in a thread, two at a time: guessing must not slow the
sessions that are there. A name that nobody has costs the same as a wrong password, or the clock would tell the names.
"""

import secrets
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


@cache
def dummy() -> str:
    """The hash to try where nobody has one: of a password that nobody knows. Made when first needed."""
    return make_hash(secrets.token_urlsafe())


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
