"""Codes of ContainerSSH that are not in the registry: never, or not yet."""

# Codes of ContainerSSH that Moorage never says, and why.
RETIRED: dict[str, str] = {
    "DOCKER_EXEC_PID_READ_FAILED": "no process id travels through the program's own stream here",
    "DOCKER_AGENT_READ_FAILED": "no process id travels through the program's own stream here",
    "DOCKER_SIGNAL_FAILED_NO_PID": "signals are not sent by process id here",
    "DOCKER_EXIT_CODE_CONTAINER_RESTARTING": "a restart policy in session mode is refused with the configuration",
    "DOCKER_EXIT_CODE_NEGATIVE": "the engine's API has no negative status",
    "DOCKER_RUN_REMOVED": "never emitted by its own project either",
    "DOCKER_CLOSE_INPUT_FAILED": "a half-close that fails is the stream's end, said as DOCKER_STREAM_OUTPUT_FAILED",
    "AUTH_INVALID_STATUS": "a webhook's status is part of the sentence of AUTH_BACKEND_ERROR",
    "AUTH_DISABLED": "a method that is off is not offered",
    "AUTH_CONFIG_ERROR": "such a configuration is refused with all its problems",
    "AUTH_OAUTH2_DEVICE_CODE_REQUEST_FAILED": "an identity provider that does not answer is AUTH_BACKEND_ERROR",
    "DOCKER_EXEC_SIGNAL": "the agent passes signals on by itself; a row of the session tells of each",
    "DOCKER_EXEC_SIGNAL_FAILED": "one to a program that has ended is no failure, and a lost link ends the session",
    "DOCKER_EXEC_SIGNAL_SUCCESSFUL": "the agent passes signals on by itself; a row of the session tells of each",
    "DOCKER_AGENT_FAILED": "an agent that cannot be brought is MOORAGE_AGENT_UNAVAILABLE",
    "DOCKER_AGENT_LOG": "Moorage's agent writes no log",
}

# Codes of ContainerSSH that will be said here when what they speak of is here.
LATER: dict[str, str] = {
    "DOCKER_FORWARDING_FAILED": "there is no forwarding yet",
}
