"""`edgefm sign`: say who made an artifact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_fm.cli.console.console import Console, print_table, shell_word
from edge_fm.cli.options import PATH, console_options

if TYPE_CHECKING:
    from edge_fm.api.artifacts.sign import SignResult


@click.command("sign")
@click.argument("artifact", metavar="ARTIFACT")
@click.option("--key", type=PATH, required=True, metavar="FILE", help="Private key, PEM: P-256, P-384 or P-521.")
@click.option(
    "--password-file",
    type=PATH,
    metavar="FILE",
    help="File with the password of an encrypted key. Default: asked for on a terminal.",
)
@click.option("--force", is_flag=True, help="Replace the signature that is there.")
@console_options
def command(console: Console, key: Path, password_file: Path | None, **options: Any) -> None:
    """Sign every file of an artifact with a private key, offline; a device then refuses what others made or changed.

    Writes model.sig into the folder, in the format of OpenSSF's model signing. `edgefm verify --signed-by` and
    `edgefm infer --require-signature` check it with the public key, and so does the package model-signing.
    """
    from edge_fm.api.artifacts.sign import sign

    result = sign(key=key, password=lambda: _password(password_file), note=console.note, **options)
    console.show(result, _print_signed)
    public = key.with_suffix(".pub")
    commands = [f"edgefm verify {shell_word(result.artifact)} --signed-by {shell_word(public)}"]
    if not public.exists():
        commands.insert(0, f"openssl pkey -in {shell_word(key)} -pubout -out {shell_word(public)}")
    console.next(*commands)


def _password(file: Path | None) -> str | None:
    if file is not None:
        return file.read_text("utf-8").rstrip("\r\n")
    if sys.stdin.isatty():
        return str(click.prompt("Password of the private key", hide_input=True, err=True))
    return None


def _print_signed(result: SignResult) -> None:
    title = f"{result.artifact}: signed with the key {result.key_sha256[:16]}"
    print_table(title, ["file", "SHA-256"], [[name, digest] for name, digest in result.files.items()])
