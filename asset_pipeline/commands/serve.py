"""``asset-pipeline serve``: the servers of the project."""

import ipaddress
import logging
import os

import click
from rich.console import Console

from asset_pipeline.commands.terminal import the_store
from asset_pipeline.web.application import application, server_for
from asset_pipeline.web.receiver import Receiver
from asset_pipeline.web.verifiers import verifiers

PORT = 8484


@click.group()
def serve() -> None:
    """Start a server."""


@serve.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0: any that is free."
)
def webhooks(*, host: str, port: int) -> None:
    """Receive what providers tell about their jobs, and keep it; see docs/webhooks.md.

    Nothing is made, paid or decided by it.
    """
    receiver = Receiver(the_store(), verifiers(os.environ))
    told = Console(stderr=True, soft_wrap=True, highlight=False)
    told.print(f"deliveries of {', '.join(sorted(receiver.providers))}", markup=False)
    if warning := warning_about(host):
        told.print(warning, style="bold red", markup=False)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        server_for(application(receiver), host, port).run()
    finally:
        receiver.refusals.tell()


def warning_about(host: str) -> str | None:
    """What to say of an address to listen on; nothing if only this machine reaches it."""
    try:
        is_this_machine = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_this_machine = host == "localhost"
    if is_this_machine:
        return None
    return (
        f"LISTENING ON {host}: OTHER MACHINES REACH THIS SERVER, WITHOUT ENCRYPTION. "
        "Meant is 127.0.0.1, behind a proxy that speaks HTTPS."
    )
