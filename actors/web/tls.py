"""TLS as the configuration wants it: its version, curves and cipher suites; what the library cannot do is refused."""

import ssl

from protocol.settings_http import HttpClient, HttpServer
from protocol.settings_problem import nearest

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
CURVES = {"x25519": "X25519", "secp256r1": "prime256v1", "secp384r1": "secp384r1", "secp521r1": "secp521r1"}
_OTHER_NAMES = {"p-256": "secp256r1", "prime256v1": "secp256r1", "p-384": "secp384r1", "p-521": "secp521r1"}
# Of TLS 1.3. The library has them on or off together, and so does Go's, which ContainerSSH is written with.
_ALWAYS = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})


def choose(context: ssl.SSLContext, http: HttpClient | HttpServer) -> None:
    """Set version, curves and suites. Raises ValueError with a sentence that names the key."""
    context.minimum_version = VERSIONS[http.tls_version]
    if curves := frozenset(map(_curve, http.curves)):
        if len(curves) == 1:
            context.set_ecdh_curve(CURVES[next(iter(curves))])
        elif curves != CURVES.keys():
            raise ValueError("curves: the TLS library takes one curve, or all of them")
    if http.cipher:
        known = {str(suite["name"]) for suite in context.get_ciphers()}
        suites = [_suite(name, known) for name in http.cipher]
        if older := [name for name in suites if name not in _ALWAYS]:
            context.set_ciphers(":".join(older))
        else:
            context.minimum_version = ssl.TLSVersion.TLSv1_3


def _curve(name: str) -> str:
    lower = name.lower()
    plain = _OTHER_NAMES.get(lower, lower)
    if plain not in CURVES:
        raise ValueError(f"curves: {name[:60]!r} is no curve that is known here: {', '.join(CURVES)}")
    return plain


def _suite(name: str, known: set[str]) -> str:
    """OpenSSL's name of a suite that is given by its own, IANA's or GnuTLS's."""
    for spelling in (name, _openssl_name(name)):
        if spelling in known:
            return spelling
    near = nearest(name, known)
    raise ValueError(
        f"cipher: {name[:60]!r} is no suite that is known here" + (f"; the nearest is {near}" if near else "")
    )


def _openssl_name(name: str) -> str:
    if (full := name if name.startswith("TLS_") else f"TLS_{name}") in _ALWAYS:
        return full
    plain = (
        full.removeprefix("TLS_").replace("_WITH_", "_").replace("AES_128_", "AES128-").replace("AES_256_", "AES256-")
    )
    plain = plain.replace("CBC_", "").replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305")
    return plain.replace("_", "-").removeprefix("RSA-")
