"""What the keys of `security` and of the sections beside the SSH server are for. See settings_keys.py."""

from msgspec import Struct


class Key(Struct, frozen=True):
    """`meaning` and `refused` in plain sentences; `refused` only where the type does not say it already."""

    meaning: str
    refused: str = ""


_MODE = "`enable`, `filter` or `disable`; empty: `security.defaultMode`."
_BAD = "anything else (`invalid mode: …`)"
_SWITCH = "`enable`, or `disable`; `filter` is `disable`, for there is nothing to filter by. Empty: `defaultMode`."
_NOT_YET = "`enable` is not served yet: there is a warning, and clients are refused. `filter` is `disable`."
_HALVES = "one of `cert` and `key` without the other"
_PLAIN = "Only for commands without shell operators and expansions outside of single quotes."

_ALSO, _NEVER, _EMPTY = "Ours. Mode `filter`: also commands", "Ours. In any mode: never commands", "empty text"


def _names(path: str, what: str, wrong: str = "") -> dict[str, Key]:
    return {
        f"{path}.mode": Key(_MODE, _BAD),
        f"{path}.allow": Key(f"Mode `filter`: the only {what} that are taken.", wrong),
        f"{path}.deny": Key(f"In any mode: {what} that are not taken.", wrong),
    }


def _client(path: str, what: str) -> dict[str, Key]:
    return {
        f"{path}.url": Key(what, "no `http://` or `https://`"),
        f"{path}.allowRedirects": Key("Follow redirects."),
        f"{path}.timeout": Key("How long one request may take. 0 or nothing is the default."),
        f"{path}.cacert": Key("The authority that signed the server's certificate."),
        f"{path}.cert": Key("Our certificate, if the server wants one.", _HALVES),
        f"{path}.key": Key("Its private key.", _HALVES),
        f"{path}.tlsVersion": Key("The least version of TLS."),
        f"{path}.curves": Key("Curves of the key exchange."),
        f"{path}.cipher": Key("Cipher suites."),
    }


def _server(path: str) -> dict[str, Key]:
    return {
        f"{path}.listen": Key("Address to listen on.", "anything but `host:port`, `:port` or `[IPv6]:port`"),
        f"{path}.key": Key("For TLS: the private key.", _HALVES),
        f"{path}.cert": Key("For TLS: the certificate.", _HALVES),
        f"{path}.clientcacert": Key("For TLS: serve only clients with a certificate from this authority."),
        f"{path}.tlsVersion": Key("The least version of TLS."),
        f"{path}.curves": Key("Curves of the key exchange."),
        f"{path}.cipher": Key("Cipher suites."),
        f"{path}.enable": Key("Not served yet: `true` is passed over with a warning."),
    }


SECURITY: dict[str, Key] = {
    "security": Key("What clients may ask for."),
    "security.defaultMode": Key("The mode of all below whose own is empty, forwarding aside. Empty: `enable`.", _BAD),
    "security.forceCommand": Key(
        "Runs instead of any shell, command or subsystem that is allowed; what was asked for is in "
        "`SSH_ORIGINAL_COMMAND`. It goes before a key's own `command=`.",
        "a NUL character",
    ),
    "security.env": Key("Environment variables."),
    **_names("security.env", "names of variables", "an empty name, a name with `=`"),
    "security.command": Key("Commands (`ssh host COMMAND`)."),
    **_names("security.command", "commands, to the letter"),
    "security.command.allowPrefixes": Key(f"{_ALSO} that are this or go on with a blank. {_PLAIN}", _EMPTY),
    "security.command.allowPatterns": Key(f"{_ALSO} of this shape (`*`, `?`, `[…]`). {_PLAIN}", _EMPTY),
    "security.command.denyPrefixes": Key(f"{_NEVER} that begin so.", _EMPTY),
    "security.command.denyPatterns": Key(f"{_NEVER} of this shape (`*`, `?`, `[…]`).", _EMPTY),
    "security.shell": Key("Shells (`ssh host` without a command)."),
    "security.shell.mode": Key(_SWITCH, _BAD),
    "security.subsystem": Key("Subsystems (`sftp`)."),
    **_names("security.subsystem", "subsystems"),
    "security.tty": Key("Terminals (`ssh -t`)."),
    "security.tty.mode": Key(_SWITCH, _BAD),
    "security.signal": Key("Signals to a running program."),
    **_names("security.signal", "signals", "anything but a signal of RFC 4254 without SIG"),
    "security.forwarding": Key("Forwarding of connections, sockets and X11."),
    "security.forwarding.forwardingMode": Key(f"To hosts (`-L`, `-D`, `-W`). {_NOT_YET}", _BAD),
    "security.forwarding.reverseForwardingMode": Key(f"From the container's ports (`-R`). {_NOT_YET}", _BAD),
    "security.forwarding.socketForwardingMode": Key(f"To Unix sockets (`-L`). {_NOT_YET}", _BAD),
    "security.forwarding.socketListenMode": Key(f"From Unix sockets (`-R`). {_NOT_YET}", _BAD),
    "security.forwarding.x11ForwardingMode": Key(f"X11 (`-X`). {_NOT_YET}", _BAD),
    "security.maxSessions": Key(
        "Sessions that one connection may have open at a time. -1: no limit but the server's own (256). 0: none at "
        "all, with a warning.",
        "less than -1 (`invalid maxSessions setting: …`)",
    ),
}  # fmt: skip

_PART = (
    "What is not said stays; `docker.execution` (without `auth`), `docker.timeouts`, `security` and `limits` may be in "
    "it."
)
RULES: dict[str, Key] = {
    "rules": Key("Ours: other settings for some logins; all that a login meets are laid over, in this order."),
    "rules[].name": Key("What logs, recordings and `moorage explain` call it.", "no name, one that another rule has"),
    "rules[].users": Key("User names or patterns (`*`, `?`, `[…]`). One must fit; empty: anyone.", "empty text"),
    "rules[].groups": Key("Groups or patterns of them.", "empty text"),
    "rules[].keys": Key("Fingerprints of keys: `SHA256:…`.", "anything else"),
    "rules[].addresses": Key("Addresses or networks that clients come from.", "anything else"),
    "rules[].settings": Key(f"Laid over the settings. {_PART}", "a key of the whole server"),
    "rules[].templates": Key("Templates that these logins may choose (`ssh USER+NAME@host`).", "one that is not there"),
    "templates": Key(f"Ours: name to settings that a user may choose. {_PART}", "as in a rule's `settings`"),
}  # fmt: skip

SERVICES: dict[str, Key] = {
    "configserver": Key("ContainerSSH's configuration webhook: docs/rules.md."),
    **_client("configserver", "Asked for each login's own settings, at exactly this address. Empty: off."),
    "configserver.transmitSensitiveMetadata": Key("Send metadata that is marked as sensitive, too."),
    "configserver.configTimeout": Key("Ours: all calls for one login, repeated ones included."),
    "configserver.bearerToken": Key("Ours: sent as `Authorization: Bearer …`.", "what is not ASCII"),
    "configserver.zeroValues": Key(
        "Ours: `set`: false, 0 and what is empty in an answer are meant. `skip`: they are what a program in Go writes "
        "for what it does not say, and sections that are the whole server's are passed over, as in ContainerSSH."
    ),
    "metrics": Key("Metrics over HTTP."),
    **_server("metrics"),
    "metrics.path": Key("Where they are.", "no `/` at its beginning"),
    "health": Key("A health check over HTTP."),
    **_server("health"),
    "health.client": Key("For a program that asks for it."),
    **_client("health.client", "Where to ask."),
    "audit": Key("Audit logs in ContainerSSH's formats. `record` is Moorage's own."),
    "audit.enable": Key("Not served yet.", "`true`, with a format and a storage"),
    "audit.format": Key("What they look like.", "anything else (`invalid audit log format: …`)"),
    "audit.storage": Key("Where they go.", "anything else (`invalid audit log storage: …`)"),
    "audit.file": Key("For storage `file`."),
    "audit.file.directory": Key("The folder.", "empty, with storage `file`"),
    "audit.s3": Key("For storage `s3`."),
    "audit.s3.local": Key("Where files wait for their upload."),
    "audit.s3.accessKey": Key("The key's name.", "empty, with storage `s3`"),
    "audit.s3.secretKey": Key("The key itself.", "empty, with storage `s3`"),
    "audit.s3.bucket": Key("The bucket.", "empty, with storage `s3`"),
    "audit.s3.region": Key("Its region."),
    "audit.s3.endpoint": Key("Another service than Amazon's."),
    "audit.s3.cacert": Key("The authority that signed its certificate."),
    "audit.s3.acl": Key("A canned access list."),
    "audit.s3.pathStyleAccess": Key("The bucket's name in the path, not in the host."),
    "audit.s3.uploadPartSize": Key("Bytes of one part.", "less than 5 MiB"),
    "audit.s3.parallelUploads": Key("Parts at a time."),
    "audit.s3.metadata": Key("What is said of each object."),
    "audit.s3.metadata.ip": Key("The client's address."),
    "audit.s3.metadata.username": Key("The user's name."),
    "audit.intercept": Key("What is written down."),
    "audit.intercept.stdin": Key("Input."),
    "audit.intercept.stdout": Key("Output."),
    "audit.intercept.stderr": Key("Error output."),
    "audit.intercept.passwords": Key("Passwords."),
    "audit.intercept.forwarding": Key("What is forwarded."),
    "geoip": Key("Where an address is, for a label of ContainerSSH's metrics."),
    "geoip.provider": Key("`maxmind` is not served: it is passed over with a warning."),
    "geoip.maxmind-geoip2-file": Key("The database."),
}

_NEW = "As in `docker.execution`."
LEGACY: dict[str, Key] = {
    "dockerrun": Key("ContainerSSH's before 0.4, with a warning (DOCKERRUN_DEPRECATED): see `moorage migrate`."),
    "dockerrun.host": Key("As `docker.connection.host`."),
    "dockerrun.cacert": Key("As `docker.connection.cacert`."),
    "dockerrun.cert": Key("As `docker.connection.cert`."),
    "dockerrun.key": Key("As `docker.connection.key`."),
    "dockerrun.config": Key("What container to make: one for each session, its image pulled each time."),
    "dockerrun.config.container": Key(f"{_NEW} Without `Image`, ContainerSSH's guest image.", "as there"),
    "dockerrun.config.host": Key(_NEW, "as there"),
    "dockerrun.config.network": Key(_NEW, "as there"),
    "dockerrun.config.platform": Key(_NEW, "as there"),
    "dockerrun.config.containername": Key(_NEW, "as there"),
    "dockerrun.config.subsystems": Key(_NEW, "as there"),
    "dockerrun.config.disableCommand": Key("Shells and subsystems only; today `security.command.mode: disable`."),
    "dockerrun.config.timeout": Key("Every one of `docker.timeouts`."),
    "listen": Key("As `ssh.listen`, which goes before it; with a warning (CONFIG_LISTEN_DEPRECATED)."),
}  # fmt: skip
