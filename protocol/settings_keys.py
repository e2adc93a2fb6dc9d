"""What each key is for and what is refused: one text for the JSON schema and for docs/configuration.md."""

from protocol.settings_auth_keys import AUTH_KEYS
from protocol.settings_keys_more import LEGACY, RULES, SECURITY, SERVICES, Key
from protocol.settings_limits_keys import LIMITS

_ENGINE = "Keys in the API's spelling or in any other case. A new field is passed on with a warning."
_SLIP = "a near miss of a known field, a field of another tree, a field given in two spellings"
_PEM = "one or two of the three given; a text that is no PEM"
_NAMES = "a name that the SSH library does not know"
__all__ = ["KEYS", "Key"]

KEYS: dict[str, Key] = {
    "ssh": Key("The SSH server."),
    "ssh.listen": Key("Address to listen on: `host:port`, `:port` (all interfaces) or `[IPv6]:port`.", "anything else"),
    "ssh.hostkeys": Key(
        "Host keys of any type: names of files, or PEM texts. Clients remember them, so keep them.",
        "none; a file that cannot be read; a key with a passphrase; two keys of one type",
    ),
    "ssh.serverVersion": Key(
        "What the server calls itself before anything else.",
        "no `SSH-2.0-` at the start, a dash in the name, more than 253 characters",
    ),
    "ssh.banner": Key("Text that clients show before the login."),
    "ssh.ciphers": Key("Ciphers, best first. Empty: Moorage's choice.", _NAMES),
    "ssh.kex": Key("Key exchanges, best first. Empty: Moorage's choice, post-quantum ones first.", _NAMES),
    "ssh.macs": Key("Message authentication codes, best first. Empty: Moorage's choice.", _NAMES),
    "ssh.clientAliveInterval": Key(
        "Times `clientAliveCountMax`: a client that is silent for so long is gone. 0: not asked, TCP may notice.",
        "between 0 and 1s",
    ),
    "ssh.clientAliveCountMax": Key("So many questions are asked in that time; any sign of life is an answer."),
    "ssh.loginGrace": Key("Time from the accepted connection to a successful login.", "0"),
    "ssh.maxAuthTries": Key("Failed tries to log in until the connection is closed."),
    "ssh.maxStartups": Key(
        "Connections that are not logged in yet. When full, the address that holds the most gives way."
    ),
    "docker": Key("The container engine, and the containers it makes."),
    "docker.connection": Key("Where the engine is."),
    "docker.connection.host": Key(
        "`unix:///path`, `tcp://host:port`, `http://…` or `https://…`. Empty: DOCKER_HOST, then the usual sockets of "
        "Docker and Podman.",
        "other schemes (`ssh://`, `npipe://`)",
    ),
    "docker.connection.cacert": Key("For TLS: the authority that signed the engine's certificate, as PEM text.", _PEM),
    "docker.connection.cert": Key("For TLS: our certificate, as PEM text.", _PEM),
    "docker.connection.key": Key("For TLS: our private key, as PEM text.", _PEM),
    "docker.execution": Key("What container to make, and how programs run in it."),
    "docker.execution.container": Key(
        f"The Docker API's ContainerConfig. {_ENGINE} Without `Image`, the default image; in a file "
        "that has none of Moorage's own keys, ContainerSSH's.",
        f"an empty image (`no image name provided`); {_SLIP}",
    ),
    "docker.execution.host": Key(
        f"The Docker API's HostConfig. {_ENGINE} Limits stand among its fields or under `resources`.",
        f"a restart policy in mode session; {_SLIP}",
    ),
    "docker.execution.network": Key(f"The Docker API's NetworkingConfig. {_ENGINE}", _SLIP),
    "docker.execution.platform": Key(f"The image's platform, for the pull as well. {_ENGINE}", _SLIP),
    "docker.execution.hardening": Key(
        "`strict`: no new privileges, few capabilities, and limits on processes and memory, as far as `host` says "
        "nothing else (see `hardening.md`); `engine`: what the engine does by itself."
    ),
    "docker.execution.hardeningOff": Key(
        "Parts of `strict` that are left out: `noNewPrivileges`, `capabilities`, `pidsLimit`, `memoryLimit`.",
        "any other name",
    ),
    "docker.execution.allowDangerous": Key(
        "What is refused under `docker.execution` unless it is named here: `privileged`, `hostNetwork`, `hostPid`, "
        "`hostIpc`, `hostUts`, `hostUser`, `hostCgroup`, `engineSocket`, `ownFiles`, `volumesFrom`, `devices`, "
        "`capabilities`, `systemPaths` (see `hardening.md`).",
        "any other name",
    ),
    "docker.execution.containername": Key(
        "A fixed name; `containerName` is taken too. Only one container at a time can have it, so there is a warning.",
        "a name that the engine does not take",
    ),
    "docker.execution.auth": Key(
        "Login at the image's registry. Empty: the Docker config file, if there is one. A rule or webhook that says "
        "any of its keys replaces all of it."
    ),
    "docker.execution.auth.username": Key("User name."),
    "docker.execution.auth.password": Key("Password or access token."),
    "docker.execution.auth.email": Key("Not used by today's registries."),
    "docker.execution.auth.serveraddress": Key("The registry that this login is for. Empty: the image's."),
    "docker.execution.auth.identitytoken": Key("Instead of a password."),
    "docker.execution.auth.registrytoken": Key("A bearer token, sent as it stands."),
    "docker.execution.auth.auth": Key("`user:password` in base64, as in Docker's config file."),
    "docker.execution.mode": Key(
        "`connection`: one container a connection, each session a program in it. `session`: one container a session.",
        "anything else (`invalid execution mode: …`)",
    ),
    "docker.execution.idleCommand": Key(
        "Mode connection: the container's first program, which keeps it alive.", "an empty list in mode connection"
    ),
    "docker.execution.shellCommand": Key(
        "What runs when no command is given. Empty in mode session: the image's own CMD.",
        "an empty list in mode connection",
    ),
    "docker.execution.transport": Key(
        "How programs are started: `served`: by Moorage's own agent in the container; `exec`: by the engine's exec; "
        "`auto`: served where that works (see `transport.md`).",
        "`served` with `disableAgent`, or where the agent cannot be brought into containers (at the start)",
    ),
    "docker.execution.agentPath": Key("Where ContainerSSH's guest agent is in the image. Not needed."),
    "docker.execution.disableAgent": Key("Never use a guest agent."),
    "docker.execution.subsystems": Key("Name of a subsystem to the path of its program in the image.", "an empty path"),
    "docker.execution.imagePullPolicy": Key(
        "`Always`; `IfNotPresent`: when it is not there, or its tag is empty or `latest`; `Never`.",
        "anything else (`invalid image pull policy: …`)",
    ),
    "docker.execution.exposeAuthMetadataAsEnv": Key(
        "What webhooks and identity providers say about the user becomes variables of the programs."
    ),
    "docker.timeouts": Key("How long to wait for the engine. 0 or nothing is the default."),
    "docker.timeouts.containerStart": Key("Pull, create and start together."),
    "docker.timeouts.containerStop": Key("Stopping a container in order, before it is killed."),
    "docker.timeouts.commandStart": Key("Making and attaching a program."),
    "docker.timeouts.signal": Key("Delivering one signal."),
    "docker.timeouts.window": Key("Telling one new window size."),
    "docker.timeouts.http": Key("One control call to the engine; never a pull, a wait or a stream."),
    "docker.pool": Key("Ours: containers that are made ahead of their logins."),
    "docker.pool.size": Key(
        "How many are kept ready: a number, of the file's own settings; or `auto`: of all settings that logins have "
        "had lately, rules and templates among them, as many as came in the last minute (see `rules.md`). In mode "
        "session only programs that the agent serves use them.",
        "with `execution.containername`, which only one container can have",
    ),
    "docker.pool.max": Key("For `auto`: the most that are kept ready, of all settings together."),
    "docker.pool.ttl": Key("A spare that is older is replaced; so is one whose image has changed."),
    **AUTH_KEYS,
    "log": Key("What is told, and to whom."),
    "log.level": Key(
        "`debug`, `info`, `notice`, `warning`, `error`, `crit`, `alert` or `emerg`: the least important level that is "
        "told. Syslog's numbers are taken too (7 is debug, 0 emerg)."
    ),
    "log.format": Key("`ljson`: one JSON object a line; `text`: for eyes."),
    "log.destination": Key("`stdout`, `file` or `syslog`."),
    "log.file": Key("For destination file: its name.", "empty, with destination file"),
    "log.syslog": Key("For destination syslog."),
    "log.syslog.destination": Key("A socket's path, or `host:port` for UDP.", "empty, with destination syslog"),
    "log.syslog.facility": Key("`auth`, `authpriv`, `daemon`, `user`, `local0` to `local7`, or another of syslog's."),
    "log.syslog.tag": Key("The name in front of each line."),
    "log.syslog.pid": Key("Add the process id to the tag."),
    "shutdown": Key("Ours: what INT and TERM do."),
    "shutdown.grace": Key("Sessions may go on for so long."),
    "shutdown.kill": Key("After that programs are sent TERM, and KILL this much later."),
    "record": Key("Ours: scenarios of what happened, for `moorage replay`."),
    "record.directory": Key("Where they are written; empty: nowhere."),
    "record.commands": Key("`full`: command strings are written; `hash`: only their SHA-256."),
    **SECURITY,
    **RULES,
    **LIMITS,
    **SERVICES,
    "backend": Key(
        "`docker`. `dockerrun` is ContainerSSH's before 0.4; a file with that tree alone need not say it.",
        "anything else (`invalid backend: …`)",
    ),
    **LEGACY,
    "state": Key("Folder of the instance id and of the locks that tell living containers from orphans.", "empty"),
}
