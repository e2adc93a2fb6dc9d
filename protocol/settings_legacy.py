"""What ContainerSSH has called differently in its time: `dockerrun` and `listen`, turned into what is used today."""

from collections.abc import Collection, Iterator

from msgspec.structs import replace

from protocol import codes
from protocol.settings import Docker, DockerConnection, Execution, Settings, Timeouts
from protocol.settings_dockerrun import DockerRun
from protocol.settings_problem import Problem, is_within, resolved

LISTEN = "0.0.0.0:2222"


def modernised(settings: Settings, given: Collection[str]) -> Settings:
    """The same, with `docker` and `ssh.listen` as the old keys have them. `given`: the top-level keys of the file.

    A file that has `dockerrun` and names neither a backend nor `docker` is from a time when that was the default.
    """
    if settings.listen and settings.ssh.listen == LISTEN:
        settings = replace(settings, ssh=replace(settings.ssh, listen=settings.listen))
    if "dockerrun" in given and not {"backend", "docker"} & set(given):
        settings = replace(settings, backend="dockerrun")
    if settings.backend == "dockerrun":
        settings = replace(settings, docker=as_docker(settings.dockerrun))
    return settings


def as_docker(old: DockerRun) -> Docker:
    """What `dockerrun` did, as a `docker` tree: a container for each session, no agent, a pull each time."""
    config = old.config
    return Docker(
        connection=DockerConnection(host=old.host, cacert=old.cacert, cert=old.cert, key=old.key),
        execution=Execution(
            container=config.container,
            host=config.host,
            network=config.network,
            platform=config.platform,
            containername=config.containername,
            mode="session",
            shell_command=(),
            disable_agent=True,
            subsystems=config.subsystems,
            image_pull_policy="Always",
        ),
        timeouts=Timeouts(**dict.fromkeys(Timeouts.__struct_fields__, config.timeout)),
    )


def as_written(settings: Settings, problem: Problem) -> Problem:
    """A rule of today's keys, said of the key that the file has."""
    path = problem.path
    if settings.backend == "dockerrun":
        for new, old in (("docker.connection", "dockerrun"), ("docker.execution", "dockerrun.config")):
            path = old + path[len(new) :] if is_within(path, new) else path
        if "allowDangerous" in problem.advice:
            rewritten = "rewrite the file (`moorage migrate`) and name"
            problem = replace(problem, advice=problem.advice.replace("or name", f"or {rewritten}"))
    if path == "ssh.listen" and settings.listen == settings.ssh.listen:
        path = "listen"
    return replace(problem, path=path)


def deprecations(settings: Settings, given: Collection[str]) -> Iterator[Problem]:
    """What is understood and should be written in another way, and what is not looked at."""
    rewrite = "`moorage migrate` rewrites the file"
    if settings.backend == "dockerrun":
        code = codes.DOCKERRUN_DEPRECATED
        yield Problem("dockerrun", code.text, advice=rewrite, code=code.name)
    if "dockerrun" in given and settings.backend == "docker":
        yield Problem("dockerrun", "not used: the backend is docker", advice="take it out")
    if "docker" in given and settings.backend == "dockerrun":
        yield Problem("docker", "not used: the backend is dockerrun", advice="take it out, or write backend: docker")
    if settings.listen:
        code = codes.CONFIG_LISTEN_DEPRECATED
        used = "" if settings.listen == settings.ssh.listen else "; it is not used, because ssh.listen is given too"
        yield Problem("listen", code.text + used, advice=rewrite, code=code.name)


def sections(tree: dict[object, object]) -> frozenset[str]:
    """The top-level keys that hold something."""
    return frozenset(str(key) for key, value in tree.items() if resolved(value) not in (None, {}, ""))
