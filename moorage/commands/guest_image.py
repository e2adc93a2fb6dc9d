"""`moorage guest-image`."""

import click


@click.command(name="guest-image")
@click.option("--tag", metavar="NAME:TAG", help="What to call it; default: the image that logins land in by default.")
def command(tag: str | None) -> None:
    """Make the default guest image, without any registry.

    It is made from Debian's static busybox and imported into the engine, which is DOCKER_HOST or the first of the usual
    sockets that answers. If an image of the same content has that name already, nothing happens. As root on Debian or
    Ubuntu a missing busybox-static is installed.
    """
    from actors.ports import EngineFault
    from moorage.commands.problem import sentences
    from moorage.debian import Missing
    from moorage.guest_image import make_guest_image
    from protocol.settings import GUEST_IMAGE, DockerConnection

    with sentences(EngineFault, Missing):
        make_guest_image(DockerConnection(), tag or GUEST_IMAGE, click.echo)
