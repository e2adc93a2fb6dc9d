"""The keys that every HTTP client and every HTTP server of the configuration has."""

from typing import Literal

from msgspec import Struct

from protocol.settings_types import Secret, Timeout

TlsVersion = Literal["1.2", "1.3"]


class HttpClient(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where to ask, and how. Certificates are PEM texts or names of files."""

    url: str = ""
    allow_redirects: bool = False
    timeout: Timeout = 2.0
    cacert: str = ""
    cert: str = ""
    key: Secret = ""
    tls_version: TlsVersion = "1.3"
    curves: tuple[str, ...] = ()
    cipher: tuple[str, ...] = ()


class HttpServer(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where to answer, and how. With `clientcacert`, only to clients that have a certificate from it."""

    listen: str = "0.0.0.0:8080"
    key: Secret = ""
    cert: str = ""
    clientcacert: str = ""
    tls_version: TlsVersion = "1.3"
    curves: tuple[str, ...] = ()
    cipher: tuple[str, ...] = ()
