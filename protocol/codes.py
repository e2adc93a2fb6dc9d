"""The registry of message codes: what may be said, how loud, to whom, and what it means.

`DOCKER_…` and `SSH_…` identifiers are ContainerSSH's, so that alerts written for it go on working; ours start with
`MOORAGE_`. A code is never renumbered, renamed or reused. Rows of the machines emit them (`says=`); the few that no
machine can know (start-up, listener, crash) are emitted by the composition and marked `outside=True`.
"""

from protocol.code import Code as Code
from protocol.code import Level


def _docker(name: str, level: Level, text: str, explains: str, user: str = "", outside: bool = False) -> Code:
    return Code("DOCKER_" + name, level, text, explains, user, outside)


# fmt: off
# --- the image ---------------------------------------------------------------------------------------------------
DOCKER_IMAGE_PULL_NEEDED_CHECKING = _docker("IMAGE_PULL_NEEDED_CHECKING", "debug", "deciding whether the image must be pulled",
    "Pull policy, tag and what is on this host decide; the row that follows is the decision.")
DOCKER_IMAGE_LISTING = _docker("IMAGE_LISTING", "debug", "looking for the image on this host",
    "The engine is asked whether it has the image.")
DOCKER_IMAGE_LISTING_FAILED = _docker("IMAGE_LISTING_FAILED", "error", "could not look for the image on this host",
    "The engine failed to answer an image inspect, with something other than 'not found'. Single tries are at debug.",
    "the container engine could not say whether it has the image {reference}: {why}")
DOCKER_IMAGE_PULL = _docker("IMAGE_PULL", "debug", "pulling the image",
    "A pull begins, or is tried again. However many logins wait for the image, there is one pull.")
DOCKER_IMAGE_PULL_FAILED = _docker("IMAGE_PULL_FAILED", "error", "the image could not be pulled",
    "The registry or the engine refused (also in the middle of the stream), or containerStart ended before the pull. Single tries are at debug.",
    "the image {reference} could not be pulled: {why}")
MOORAGE_IMAGE_ABSENT = Code("MOORAGE_IMAGE_ABSENT", "error", "the image is not on this host and may not be pulled",
    "imagePullPolicy is Never and the engine does not have the image. Load it, or choose another policy.",
    "the image {reference} is not on this host, and imagePullPolicy is Never")
MOORAGE_IMAGE_PULLED = Code("MOORAGE_IMAGE_PULLED", "info", "the image was pulled",
    "A pull has ended well; every waiting login goes on.")
MOORAGE_IMAGE_PULL_ABANDONED = Code("MOORAGE_IMAGE_PULL_ABANDONED", "info", "nobody waits for the image any more",
    "Every login that waited for this image has gone or run out of time, so the pull was let go.")

# --- the container -----------------------------------------------------------------------------------------------
DOCKER_CONTAINER_CREATE = _docker("CONTAINER_CREATE", "debug", "creating the container",
    "The engine is asked to create the container.")
DOCKER_CONTAINER_CREATE_FAILED = _docker("CONTAINER_CREATE_FAILED", "error", "the container could not be created",
    "The engine refused for good (bad configuration, name taken, no such image) or until the budget ended. Single tries are at debug.",
    "the container could not be created: {why}")
DOCKER_CONTAINER_ATTACH = _docker("CONTAINER_ATTACH", "debug", "attaching to the container",
    "Session mode: stdin, stdout and stderr are attached before the container starts.")
DOCKER_CONTAINER_ATTACH_FAILED = _docker("CONTAINER_ATTACH_FAILED", "error", "could not attach to the container",
    "Session mode: the engine refused to attach. Single tries are at debug.",
    "the container could not be attached to: {why}")
DOCKER_CONTAINER_START = _docker("CONTAINER_START", "debug", "starting the container",
    "The engine is asked to start the container.")
DOCKER_CONTAINER_START_FAILED = _docker("CONTAINER_START_FAILED", "error", "the container could not be started",
    "The engine refused for good (no such command, port taken) or until the budget ended. Single tries are at debug.",
    "the container could not be started: {why}")
DOCKER_FILE_WRITE = _docker("FILE_WRITE", "debug", "putting the login's files into the container",
    "A login webhook's answer has `files`. They are written before the container starts; details.files names them.", outside=True)
DOCKER_FILE_WRITE_FAILED = _docker("FILE_WRITE_FAILED", "warning", "the login's files could not be put into the container",
    "Then the container does not start either, and the user is told: DOCKER_CONTAINER_START_FAILED.", outside=True)
MOORAGE_CONTAINER_LANDED = Code("MOORAGE_CONTAINER_LANDED", "info", "the container runs",
    "The login has its container.")
MOORAGE_CONTAINER_DIED = Code("MOORAGE_CONTAINER_DIED", "warning", "the container ended under its connection",
    "The idle command ended, the container was removed from outside, or memory ran out. Its sessions are told and ended.",
    "the container ended (status {status}{oom})")
MOORAGE_AGENT_READY = Code("MOORAGE_AGENT_READY", "info", "the guest agent can be brought into containers",
    "A container of its own has proved it at the start; `link` is how it is spoken to: a socket, or the attached stdio. "
    "`terminals` says who opens them: the host, so that keystrokes go to the program itself, or the agent.",
    outside=True)
MOORAGE_AGENT_UNAVAILABLE = Code("MOORAGE_AGENT_UNAVAILABLE", "notice", "programs are started by the engine's exec",
    "The guest agent cannot be brought into containers here; the details say why. Without it terminal modes, and signals to an exec, are not served.",
    outside=True)
MOORAGE_AGENT_AWAITED = Code("MOORAGE_AGENT_AWAITED", "debug", "waiting for the guest agent",
    "The container runs; its first program is Moorage's agent, which is about to say hello.")
MOORAGE_AGENT_FAILED = Code("MOORAGE_AGENT_FAILED", "error", "the guest agent did not answer",
    "The container runs and its agent has said nothing, or has ended. docker.execution.transport exec does without one.",
    "the guest agent in the container did not answer: {why}")
MOORAGE_LINK_LOST = Code("MOORAGE_LINK_LOST", "warning", "the link to the guest agent is lost",
    "The agent was killed, the container is ending, or the engine restarted. The container is removed.")
MOORAGE_SPARE_READY = Code("MOORAGE_SPARE_READY", "debug", "a spare container is ready",
    "The warm pool (docker.pool) has one more container that runs and waits for a login.")
MOORAGE_SPARE_CLAIMED = Code("MOORAGE_SPARE_CLAIMED", "debug", "a login has claimed a spare container",
    "It is renamed to the login's name and belongs to it from now on.")
MOORAGE_SPARE_FAILED = Code("MOORAGE_SPARE_FAILED", "warning", "a spare container could not be made",
    "The container's own lines say why. The pool tries again, after pauses from 1 s up to a minute; logins make their own.")
MOORAGE_SPARE_LOST = Code("MOORAGE_SPARE_LOST", "notice", "a spare container ended before it was claimed",
    "Somebody removed it, or the engine restarted. It is replaced. A login that had just claimed it is told so.",
    "the container that was ready has just ended; log in again")
MOORAGE_SPARE_RETIRED = Code("MOORAGE_SPARE_RETIRED", "debug", "a spare container is replaced or no longer wanted",
    "It is older than docker.pool.ttl, its image has changed, or the server is ending.")
MOORAGE_RENAME_FAILED = Code("MOORAGE_RENAME_FAILED", "notice", "a claimed container keeps its old name",
    "The engine could not rename it. The login has it all the same; `moorage status` shows which it is.")
MOORAGE_CONTAINER_UNWATCHED = Code("MOORAGE_CONTAINER_UNWATCHED", "notice", "the engine stopped telling us about a running container",
    "The wait call broke (an engine restart, say). The container goes on; we ask again.")
DOCKER_CONTAINER_STOP = _docker("CONTAINER_STOP", "debug", "stopping the container",
    "The server is ending: the container's main program is sent TERM and has a little time.")
DOCKER_CONTAINER_STOP_FAILED = _docker("CONTAINER_STOP_FAILED", "error", "the container could not be stopped",
    "TERM could not be delivered. The container is removed by force instead.")
DOCKER_CONTAINER_REMOVE = _docker("CONTAINER_REMOVE", "debug", "removing the container",
    "Removal waits for nothing: neither for sessions nor for programs.")
DOCKER_CONTAINER_REMOVE_FAILED = _docker("CONTAINER_REMOVE_FAILED", "error", "the container is not removed yet",
    "containerStop has passed and the engine has not confirmed the removal. It is tried until it is confirmed. Single tries are at debug.")
DOCKER_CONTAINER_REMOVE_SUCCESSFUL = _docker("CONTAINER_REMOVE_SUCCESSFUL", "debug", "the container is removed",
    "The engine has confirmed that the container is gone.")
MOORAGE_ORPHAN_FOUND = Code("MOORAGE_ORPHAN_FOUND", "warning", "found a container that a crash left behind",
    "It carries our instance label and no living daemon holds its boot lock, or this one has no owner for it. It is being removed.")
MOORAGE_ORPHAN_EXPECTED = Code("MOORAGE_ORPHAN_EXPECTED", "notice", "the engine may still make a container that we have given up",
    "The answer to a create is lost, and the container is not there, or not yet. For two minutes the sweep looks for it, at first each second.")
DOCKER_CONTAINER_SHUTTING_DOWN = _docker("CONTAINER_SHUTTING_DOWN", "info", "a session was refused because its container is going away",
    "A program was asked for while the container or the server is ending.",
    "the server is shutting down")
DOCKER_CONTAINER_SIGNAL = _docker("CONTAINER_SIGNAL", "debug", "sending a signal to the container",
    "Session mode: the engine's kill API delivers it to the main program.")
DOCKER_CONTAINER_SIGNAL_FAILED = _docker("CONTAINER_SIGNAL_FAILED", "warning", "the signal could not be delivered",
    "The engine refused, or the signal timeout has passed. Single tries are at debug.")

# --- programs ----------------------------------------------------------------------------------------------------
DOCKER_EXEC = _docker("EXEC", "debug", "running a program",
    "A shell, command or subsystem was asked for.")
DOCKER_EXEC_CREATE = _docker("EXEC_CREATE", "debug", "creating the exec",
    "Connection mode: the engine is asked to prepare the program.")
DOCKER_EXEC_CREATE_FAILED = _docker("EXEC_CREATE_FAILED", "error", "the program could not be prepared",
    "The engine refused to create the exec for good, or until commandStart ended. Single tries are at debug.",
    "the program could not be prepared: {why}")
DOCKER_EXEC_ATTACH = _docker("EXEC_ATTACH", "debug", "starting the exec",
    "Connection mode: the program is started with its streams attached.")
DOCKER_EXEC_ATTACH_FAILED = _docker("EXEC_ATTACH_FAILED", "error", "the program could not be started",
    "The engine refused to start the exec, or commandStart ended first. It is not tried twice: the program might run twice.",
    "the program could not be started: {why}")
DOCKER_EXEC_RESIZE = _docker("EXEC_RESIZE", "debug", "resizing the terminal",
    "A new window size is on its way to the program.")
DOCKER_EXEC_RESIZE_FAILED = _docker("EXEC_RESIZE_FAILED", "notice", "the terminal could not be resized",
    "The engine refused, or the window timeout has passed; the program keeps the old size. Single tries are at debug.")
MOORAGE_SPAWN = Code("MOORAGE_SPAWN", "debug", "starting the program through the guest agent",
    "The agent in the container is asked to start the program; no call to the engine is needed.")
MOORAGE_SPAWN_FAILED = Code("MOORAGE_SPAWN_FAILED", "notice", "the guest agent could not start the program",
    "It is not in the image, may not be run, or the container has no room for it. The agent's own words say which.",
    "the program could not be started: {why}")
DOCKER_EXEC_SIGNAL_FAILED_NO_AGENT = _docker("EXEC_SIGNAL_FAILED_NO_AGENT", "notice", "the signal was not delivered: no guest agent",
    "Connection mode: the engine's exec API has no signals, and there is no guest agent in the container.",
    "the signal {signal} was not delivered: signals need execution mode session, or a guest agent")
DOCKER_EXIT_CODE = _docker("EXIT_CODE", "debug", "the program has ended",
    "Its exit status is known.")
DOCKER_EXIT_CODE_FAILED = _docker("EXIT_CODE_FAILED", "error", "the exit status could not be read",
    "The engine cannot say how the program ended. The user is told, and the status sent is 255. Single tries are at debug.",
    "the program has ended, but its exit status is lost: {why}")
MOORAGE_OUT_OF_MEMORY = Code("MOORAGE_OUT_OF_MEMORY", "notice", "a program was killed because memory ran out",
    "The engine says that its container has met its memory limit (host.Memory), and the program was ended by KILL.",
    "the program was killed: its container has run out of memory")
DOCKER_EXIT_CODE_STILL_RUNNING = _docker("EXIT_CODE_STILL_RUNNING", "debug", "the engine says that the program still runs",
    "Its output has ended; the engine is asked again shortly.")
DOCKER_STREAM_INPUT_FAILED = _docker("STREAM_INPUT_FAILED", "debug", "the channel closed while its program was running",
    "Input to the program ended because the client closed the channel or was lost.")
DOCKER_STREAM_OUTPUT_FAILED = _docker("STREAM_OUTPUT_FAILED", "error", "the program's stream broke",
    "The connection to the engine that carries the program's output ended in an error. The status sent is 255.",
    "the connection to the container broke, and output may be missing: {why}")
DOCKER_CLOSE_OUTPUT_FAILED = _docker("CLOSE_OUTPUT_FAILED", "debug", "the client did not close the channel in time",
    "The exit status was sent and the client does not answer; the channel is dropped.")
DOCKER_PROGRAM_ALREADY_RUNNING = _docker("PROGRAM_ALREADY_RUNNING", "debug", "refused: a program was already asked for on this channel",
    "RFC 4254 section 6.5: one program per channel.")
DOCKER_PROGRAM_NOT_RUNNING = _docker("PROGRAM_NOT_RUNNING", "debug", "refused: no program runs on this channel yet",
    "A signal came before a program was running.")
DOCKER_SUBSYSTEM_NOT_SUPPORTED = _docker("SUBSYSTEM_NOT_SUPPORTED", "notice", "refused: the subsystem is not in the map",
    "docker.execution.subsystems has no entry of this name.",
    "{why}")
DOCKER_GUEST_AGENT_DISABLED = _docker("GUEST_AGENT_DISABLED", "warning", "the guest agent is disabled",
    "docker.execution.disableAgent is true: no signals in connection mode. Said once, at start.", outside=True)
DOCKER_CONFIG_ERROR = _docker("CONFIG_ERROR", "error", "the configuration is not usable",
    "The file was read and refused; each problem is listed with path, what was found and what is allowed.", outside=True)

DOCKERRUN_DEPRECATED = Code("DOCKERRUN_DEPRECATED", "warning", "You are using the dockerrun backend deprecated since ContainerSSH 0.4. "
    "This backend will be removed in the future. Please switch to the new docker backend as soon as possible. "
    "See https://containerssh.io/deprecations/dockerrun for details.",
    "The configuration has ContainerSSH's old dockerrun tree. It is understood as it was then. Said once, at start.", outside=True)
CONFIG_LISTEN_DEPRECATED = Code("CONFIG_LISTEN_DEPRECATED", "warning", "the key listen is deprecated since ContainerSSH 0.4: it is ssh.listen now",
    "The configuration has the address to listen on where ContainerSSH had it before 0.4. Said once, at start.", outside=True)

DOCKERRUN_EXEC_DISABLED = Code("DOCKERRUN_EXEC_DISABLED", "notice", "refused: commands are disabled",
    "dockerrun.config.disableCommand, ContainerSSH's before 0.4. Today it is security.command.mode: disable.",
    "Command execution is disabled.")

# --- the security policy -----------------------------------------------------------------------------------------
SECURITY_ENV_REJECTED = Code("SECURITY_ENV_REJECTED", "debug", "an environment variable was refused",
    "security.env does not let the client set it. The program runs without it, and the client's user is not told: clients offer variables unasked.")
SECURITY_EXEC_REJECTED = Code("SECURITY_EXEC_REJECTED", "notice", "a command was refused",
    "security.command does not let it run.",
    "Command execution disabled.")
SECURITY_EXEC_FORCING_COMMAND = Code("SECURITY_EXEC_FORCING_COMMAND", "debug", "another program runs than was asked for",
    "security.forceCommand, or the command of the key's own line.")
SECURITY_EXEC_FAILED_SETENV = Code("SECURITY_EXEC_FAILED_SETENV", "error", "SSH_ORIGINAL_COMMAND could not be set",
    "A command is forced, and what was asked for is too long for an environment variable, has a NUL byte or is not UTF-8. Nothing runs.",
    "Could not execute program.")
SECURITY_SHELL_REJECTED = Code("SECURITY_SHELL_REJECTED", "notice", "a shell was refused",
    "security.shell is not enable.",
    "Shell execution disabled.")
SECURITY_SUBSYSTEM_REJECTED = Code("SECURITY_SUBSYSTEM_REJECTED", "notice", "a subsystem was refused",
    "security.subsystem does not let it run.",
    "Subsystem execution disabled.")
SECURITY_TTY_REJECTED = Code("SECURITY_TTY_REJECTED", "debug", "a terminal was refused",
    "security.tty is not enable. The program runs without one.",
    "TTY allocation disabled.")
SECURITY_SIGNAL_REJECTED = Code("SECURITY_SIGNAL_REJECTED", "notice", "a signal was refused",
    "security.signal does not let the client send it. The user is told once in a session.",
    "Sending signals is rejected.")
SECURITY_X11_FORWARDING_REJECTED = Code("SECURITY_X11_FORWARDING_REJECTED", "debug", "X11 forwarding was refused",
    "security.forwarding.x11ForwardingMode is not enable. Clients say it themselves.")
SECURITY_MAX_SESSIONS = Code("SECURITY_MAX_SESSIONS", "notice", "a session was refused: the connection has enough",
    "security.maxSessions are open at the same time. A session that has ended does not count.",
    "Too many sessions.")
SECURITY_FORWARDING_REJECTED = Code("SECURITY_FORWARDING_REJECTED", "debug", "forwarding was refused",
    "security.forwarding has not enabled this kind (-L, -D, -W, or to a Unix socket).",
    "Forwarding is rejected")
SECURITY_REVERSE_FORWARDING_REJECTED = Code("SECURITY_REVERSE_FORWARDING_REJECTED", "debug", "reverse forwarding was refused",
    "security.forwarding has not enabled this kind (-R, or from a Unix socket).",
    "Reverse forwarding is rejected")
# --- who may come in ---------------------------------------------------------------------------------------------
AUTH = Code("AUTH", "debug", "checking a login",
    "One attempt with one factor: its sources (configuration, command, webhook, identity provider) are asked in their order.")
AUTH_SUCCESSFUL = Code("AUTH_SUCCESSFUL", "debug", "all factors are proved",
    "One of the user's ways in is complete. Where there is an authorisation webhook, it has the last word.")
AUTH_FAILED = Code("AUTH_FAILED", "debug", "a factor was not proved",
    "Wrong password, code or key, or a factor that may not come next for this user. The client hears the same in each case.")
MOORAGE_AUTH_PARTIAL = Code("MOORAGE_AUTH_PARTIAL", "debug", "a factor is proved, another one must follow",
    "Partial success (RFC 4252 section 5.1): the client is told which methods may follow.")
MOORAGE_AUTH_LIMITED = Code("MOORAGE_AUTH_LIMITED", "info", "an attempt was refused unseen: too many have failed from its address",
    "auth.failures: so many failed attempts in one period. The client hears what it hears for a wrong password.")
MOORAGE_AUTH_OTHER_NAME = Code("MOORAGE_AUTH_OTHER_NAME", "notice", "a factor proves another name than was given",
    "One factor of several must not belong to somebody else, and enforceUsername may ask for the same of a single one.")
MOORAGE_REVOKED_KEYS_UNREADABLE = Code("MOORAGE_REVOKED_KEYS_UNREADABLE", "error", "the revoked keys cannot be read",
    "The file of auth.revokedKeys. Until it can be read, no key and no certificate lets anybody in; other ways in are as they were.", outside=True)
AUTH_BACKEND_ERROR = Code("AUTH_BACKEND_ERROR", "error", "a source of logins does not answer",
    "The webhook, command or identity provider failed for good or until the budget ended; a status other than 200 is one of these. Single tries are at debug.")
SSH_AUTH_UNAVAILABLE = Code("SSH_AUTH_UNAVAILABLE", "info", "the attempt could not be checked",
    "The client is refused, and it is not its fault: it does not count among the failures of its address.")
AUTHZ_FAILED = Code("AUTHZ_FAILED", "info", "the user is who it says, and may not come in",
    "The authorisation webhook said no.")
MOORAGE_DEVICE_CODE = Code("MOORAGE_DEVICE_CODE", "debug", "the identity provider has given a code to show",
    "OAuth 2.0 device flow (RFC 8628): the person opens the provider's page and enters the code there.")
AUTH_OAUTH2_AUTHORIZATION_PENDING = Code("AUTH_OAUTH2_AUTHORIZATION_PENDING", "debug", "nobody has used the code yet",
    "The identity provider is asked again after the interval that it wants.")
AUTH_OAUTH2_TIMEOUT = Code("AUTH_OAUTH2_TIMEOUT", "info", "nobody has used the code in time",
    "oauth2.oidc.loginTimeout has passed since the code was shown.")
CONFIG_AUTH_URL_DEPRECATED = Code("CONFIG_AUTH_URL_DEPRECATED", "warning", "auth.url is an old way to name the webhook",
    "auth.url, auth.password and auth.pubkey are understood as password.webhook and publicKey.webhook. Said once, at start.", outside=True)
# --- which settings a login has ----------------------------------------------------------------------------------
CONFIG_REQUEST = Code("CONFIG_REQUEST", "debug", "asking the configuration webhook",
    "The user is who it says; configserver is asked for its settings before the client is told so.")
CONFIG_RESPONSE = Code("CONFIG_RESPONSE", "debug", "the configuration webhook has answered",
    "What it says is laid over the file's settings, the rules and the template, and fits them.")
CONFIG_BACKEND_ERROR = Code("CONFIG_BACKEND_ERROR", "error", "the configuration webhook does not answer",
    "It failed for good or until configTimeout ended; a status other than 200 is one of these. Single tries are at debug.")
BACKEND_CONFIG_ERROR = Code("BACKEND_CONFIG_ERROR", "error", "the login has no settings that could be used",
    "The configuration webhook has not answered or said what the file could not say either, or several rules together make settings that "
    "are refused. `why` tells which. The user is let in to read the sentence, and nothing runs.",
    "your settings could not be worked out; the server's log tells its operator why")
MOORAGE_TEMPLATE_REFUSED = Code("MOORAGE_TEMPLATE_REFUSED", "notice", "the user may not choose this template",
    "USER+TEMPLATE was given, and none of the rules that this login meets names the template. Nothing runs.",
    "the template {template} is not yours to choose")

# --- SSH ---------------------------------------------------------------------------------------------------------
SSH_AVAILABLE = Code("SSH_AVAILABLE", "info", "the SSH server is available",
    "The listener accepts connections.")
SSH_START_FAILED = Code("SSH_START_FAILED", "critical", "the SSH server cannot start",
    "The address cannot be listened on, or a host key cannot be used.", outside=True)
SSH_CONNECTED = Code("SSH_CONNECTED", "debug", "a client has connected",
    "A TCP connection was accepted.")
SSH_DISCONNECTED = Code("SSH_DISCONNECTED", "debug", "the client is gone",
    "The connection has ended.")
SSH_HANDSHAKE_FAILED = Code("SSH_HANDSHAKE_FAILED", "info", "the connection ended before a login",
    "The client left, spoke no SSH, or nobody was let in.")
SSH_HANDSHAKE_SUCCESSFUL = Code("SSH_HANDSHAKE_SUCCESSFUL", "debug", "the client may open sessions",
    "Key exchange and authentication are done.")
SSH_AUTH_SUCCESSFUL = Code("SSH_AUTH_SUCCESSFUL", "info", "authentication succeeded",
    "With user name, method and key fingerprint.")
SSH_AUTH_FAILED = Code("SSH_AUTH_FAILED", "info", "authentication failed",
    "One attempt, with user name and method.")
SSH_BACKEND_REJECTED_HANDSHAKE = Code("SSH_BACKEND_REJECTED_HANDSHAKE", "error", "the login has no container",
    "Provisioning failed; the reason stands beside it. Every session of the connection is told in a sentence.")
SSH_NEW_CHANNEL = Code("SSH_NEW_CHANNEL", "debug", "a session channel is open",
    "RFC 4254 section 6.1.")
SSH_NEW_CHANNEL_REJECTED = Code("SSH_NEW_CHANNEL_REJECTED", "debug", "a channel or global request was refused",
    "It is of a kind that is not served, or the connection may not open more.")
SSH_CHANNEL_REQUEST_FAILED = Code("SSH_CHANNEL_REQUEST_FAILED", "debug", "a channel request was refused",
    "Unknown, malformed, over a limit, or out of order; the reason is in the details.")
SSH_EXIT = Code("SSH_EXIT", "debug", "the exit status was sent",
    "After all output, before the channel's close.")
SSH_EXIT_SIGNAL = Code("SSH_EXIT_SIGNAL", "debug", "the exit signal was sent",
    "The program ended by a signal, and we know which.")

# --- ours --------------------------------------------------------------------------------------------------------
MOORAGE_READY = Code("MOORAGE_READY", "notice", "ready",
    "The daemon serves; details.listen has the addresses.")
MOORAGE_DRAINING = Code("MOORAGE_DRAINING", "notice", "shutting down: no new connections, sessions may end",
    "INT or TERM was received. Running sessions have shutdown.grace seconds.")
MOORAGE_TERMINATING = Code("MOORAGE_TERMINATING", "notice", "shutting down: sessions are being ended",
    "The grace period is over or a second signal came. Programs are sent TERM and have shutdown.kill seconds.",
    "the server is shutting down; this session ends now")
MOORAGE_KILLING = Code("MOORAGE_KILLING", "notice", "shutting down: what is left is closed and removed",
    "Sessions did not end in time.")
MOORAGE_UPGRADING = Code("MOORAGE_UPGRADING", "notice", "a new process is starting; this one serves until it is ready",
    "`moorage upgrade` was called, or a process that was started with --take-over asks for the listening sockets.")
MOORAGE_UPGRADED = Code("MOORAGE_UPGRADED", "notice", "a new process accepts the connections from now on",
    "This one serves the connections that it has to their end, without a time limit, and then stops. TERM makes it drain (shutdown.grace).")
MOORAGE_UPGRADE_FAILED = Code("MOORAGE_UPGRADE_FAILED", "error", "the upgrade has failed; this process serves on",
    "The new process did not start, or was not ready in time. Nobody was refused, nobody was cut off.")
MOORAGE_RELOADED = Code("MOORAGE_RELOADED", "notice", "the configuration was read again",
    "details.changes tells what is new; connections that are there keep what they have. Some keys wait for a restart, and are marked.")
MOORAGE_RELOAD_REFUSED = Code("MOORAGE_RELOAD_REFUSED", "error", "the configuration was not taken; the old one stays",
    "It cannot be read or used, and details.why has all that is wrong with it; or the server is shutting down.")
MOORAGE_STOPPED = Code("MOORAGE_STOPPED", "notice", "stopped",
    "Nothing of ours is left running.")
MOORAGE_STOPPED_UNCLEAN = Code("MOORAGE_STOPPED_UNCLEAN", "error", "stopped with containers not yet confirmed as removed",
    "The engine did not answer in time; the next start's sweep removes them.")
MOORAGE_LOGIN_GRACE = Code("MOORAGE_LOGIN_GRACE", "info", "the client did not log in in time",
    "ssh.loginGrace has passed between accept and authentication; the connection was closed.")
MOORAGE_LIMIT_CONNECTIONS = Code("MOORAGE_LIMIT_CONNECTIONS", "notice", "a connection was refused: its user or its address has enough",
    "limits.user.connections or limits.address.connections are open. An address is counted from the first packet on, a user from the login.",
    "too many connections: {why}")
MOORAGE_LIMIT_SESSIONS = Code("MOORAGE_LIMIT_SESSIONS", "notice", "a session was refused: its user or its address has enough",
    "limits.user.sessions or limits.address.sessions are open, in all connections together.",
    "too many sessions: {why}")
MOORAGE_LIMIT_CONTAINERS = Code("MOORAGE_LIMIT_CONTAINERS", "notice", "a login has no container: its user or its address has enough",
    "limits.user.containers or limits.address.containers are in use. One that is being removed does not count.",
    "too many containers: {why}")
MOORAGE_LIMIT_LOGIN_RATE = Code("MOORAGE_LIMIT_LOGIN_RATE", "notice", "a login came too soon after others",
    "limits.user.loginRate or limits.address.loginRate. Logins that are refused do not count.",
    "too many logins: {why}")
MOORAGE_LIMIT_IDLE_NEAR = Code("MOORAGE_LIMIT_IDLE_NEAR", "info", "an idle connection ends soon",
    "limits.warning before limits.idle is over. The users of all its sessions are told; a byte in either direction keeps it.",
    "nothing has moved here for a while; unless something does, this connection ends in {left} s")
MOORAGE_LIMIT_IDLE = Code("MOORAGE_LIMIT_IDLE", "notice", "an idle connection is ended",
    "No session has moved a byte for limits.idle. Programs are sent TERM and have shutdown.kill seconds.",
    "nothing has moved here for {allowed} s; this connection ends now")
MOORAGE_LIMIT_TOTAL_NEAR = Code("MOORAGE_LIMIT_TOTAL_NEAR", "info", "the time of a connection is nearly over",
    "limits.warning before limits.total is over. The users of all its sessions are told.",
    "the time for this connection is nearly over; it ends in {left} s")
MOORAGE_LIMIT_TOTAL = Code("MOORAGE_LIMIT_TOTAL", "notice", "the time of a connection is over",
    "limits.total has passed since the login. Programs are sent TERM and have shutdown.kill seconds.",
    "the time for this connection, {allowed} s, is over; it ends now")
MOORAGE_NOT_SSH = Code("MOORAGE_NOT_SSH", "info", "what connected does not speak SSH",
    "A scanner, a browser or a health check. It was told so in one line of plain text (RFC 4253 section 4.2) and closed.")
MOORAGE_CLIENT_SILENT = Code("MOORAGE_CLIENT_SILENT", "info", "the client gives no sign of life",
    "For ssh.clientAliveInterval times clientAliveCountMax nothing was heard, or its host acknowledged nothing. Its containers are removed.")
MOORAGE_COMMAND_REFUSED = Code("MOORAGE_COMMAND_REFUSED", "notice", "the command cannot be run",
    "It holds a NUL byte or is too long to be given to a program.",
    "{why}")
MOORAGE_SESSION_REFUSED = Code("MOORAGE_SESSION_REFUSED", "notice", "the session has no container to run in",
    "The reason was logged when the container failed; this is the session that was told.")
MOORAGE_CONNECTION_CRASHED = Code("MOORAGE_CONNECTION_CRASHED", "error", "an error of ours ended this connection",
    "Please report it: the details hold the error and the last steps. Nobody else is affected; the container is removed.",
    "an internal error ended this connection")
MOORAGE_ACTOR_CRASHED = Code("MOORAGE_ACTOR_CRASHED", "error", "an error of ours ended an actor",
    "Please report it: the details hold the error and the last steps. Its connection ends, nobody else's.", outside=True)
MOORAGE_SHIM_FAILED = Code("MOORAGE_SHIM_FAILED", "error", "an error of ours that belongs to no connection",
    "Please report it: the details hold the error.", outside=True)
MOORAGE_REFUSED = Code("MOORAGE_REFUSED", "warning", "a machine has no row for this event",
    "Please report it: the state, the event and the last steps are in the details. Nothing happened.", outside=True)
MOORAGE_ENGINE_FOUND = Code("MOORAGE_ENGINE_FOUND", "info", "the container engine answers",
    "With its address and the API version that was negotiated.", outside=True)
MOORAGE_ENGINE_UNREACHABLE = Code("MOORAGE_ENGINE_UNREACHABLE", "critical", "the container engine does not answer",
    "Moorage does not start without one. During a run, logins are told instead.", outside=True)
MOORAGE_SWEEP_FAILED = Code("MOORAGE_SWEEP_FAILED", "warning", "could not look for containers that a crash left",
    "The engine did not answer; it is tried again by the timer.", outside=True)
MOORAGE_RECORD_FAILED = Code("MOORAGE_RECORD_FAILED", "warning", "a scenario could not be written",
    "The folder is full or not writable. The daemon goes on without recording.", outside=True)
MOORAGE_ROOM_CLASH = Code("MOORAGE_ROOM_CLASH", "critical", "another package has the name of one of Moorage's",
    "Moorage's rooms are imported as `protocol`, `fsm` and `actors`. Start it where nothing else has these names.", outside=True)
MOORAGE_LOG_LINES_LOST = Code("MOORAGE_LOG_LINES_LOST", "warning", "log lines were dropped",
    "The log's destination took nothing for so long that the waiting lines reached their limit. `lines` says how many are lost.", outside=True)
LOG_WRITE_FAILED = Code("LOG_WRITE_FAILED", "error", "the log cannot be written",
    "Said once on stderr, where the lines go until the log's destination takes them again.", outside=True)
MOORAGE_CONTROL_FAILED = Code("MOORAGE_CONTROL_FAILED", "warning", "there is no control socket",
    "The state folder's path is too long for a socket, or it is not writable. `moorage status` will not find this daemon.", outside=True)
MOORAGE_STARTUPS_FULL = Code("MOORAGE_STARTUPS_FULL", "notice", "connections were closed: too many are logging in",
    "ssh.maxStartups are not logged in yet: the address that holds the most gives way. `turnedAway` counts since the last such line.", outside=True)
MOORAGE_CONFIG_WARNING = Code("MOORAGE_CONFIG_WARNING", "warning", "the configuration has a remark",
    "It was understood, but probably not as meant.", outside=True)
# fmt: on

ALL: dict[str, Code] = {code.name: code for code in tuple(vars().values()) if isinstance(code, Code)}
