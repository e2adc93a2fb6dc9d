"""Sections of ContainerSSH's file for services beside the SSH server. `settings_unserved.py` says which are not there.

They are read and checked in full all the same, so that a slip in them is found and a migration loses nothing.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from protocol.settings_http import HttpClient, HttpServer
from protocol.settings_types import Count, Secret, Timeout

PartSize = Annotated[int, Meta(ge=5 * 2**20)]  # S3's own least


class ConfigServer(HttpClient, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The webhook that is asked for each login's own settings, at exactly `url`. Off while that is empty.

    `timeout` is for one call, `config_timeout` for all. `zero_values`: whether false, 0 and what is empty in an answer
    are meant (`set`) or are what a Go program writes for "not said" (`skip`).
    """

    transmit_sensitive_metadata: bool = False
    config_timeout: Timeout = 20.0
    bearer_token: Secret = ""
    zero_values: Literal["set", "skip"] = "set"


class Metrics(HttpServer, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    enable: bool = False
    listen: str = "0.0.0.0:9100"
    path: str = "/metrics"


class HealthClient(HttpClient, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    url: str = "http://127.0.0.1:7000/"


class Health(HttpServer, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    enable: bool = False
    listen: str = "0.0.0.0:7000"
    client: HealthClient = HealthClient()


class GeoIp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an address is, for a label of the metrics."""

    provider: Literal["dummy", "maxmind"] = "dummy"
    file: str = field(default="/var/lib/GeoIP/GeoIP2-Country.mmdb", name="maxmind-geoip2-file")


class AuditFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    directory: str = "/var/log/audit"


class S3Metadata(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ip: bool = False
    username: bool = False


class S3(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    local: str = "/var/lib/audit"
    access_key: Secret = ""
    secret_key: Secret = ""
    bucket: str = ""
    region: str = ""
    endpoint: str = ""
    cacert: str = ""
    acl: str = ""
    path_style_access: bool = False
    upload_part_size: PartSize = 5 * 2**20
    parallel_uploads: Count = 20
    metadata: S3Metadata = S3Metadata()


class Intercept(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of a session is written down."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    passwords: bool = False
    forwarding: bool = False


class Audit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enable: bool = False
    format: Literal["none", "binary", "asciinema"] = "none"
    storage: Literal["none", "file", "s3"] = "none"
    file: AuditFile = AuditFile()
    s3: S3 = S3()
    intercept: Intercept = Intercept()
