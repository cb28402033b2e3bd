"""`agentstats keys`: make, list and revoke the keys of the API."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Annotated

import typer

from api.auth.keys import KeyStore
from orchestration.cli.output import AsJson, complain, err, out, print_json, print_table
from orchestration.contract.streams import MAX_KEY
from orchestration.settings import Settings, read_settings

keys_app = typer.Typer(help="Make, list and revoke the keys of the API.", no_args_is_help=True)


def key_store(settings: Settings) -> KeyStore:
    """The home folder's keys."""
    return KeyStore(settings.keys_path, clock=settings.clock)


def _not_blank(name: str) -> str:
    if not name.strip():
        raise typer.BadParameter("a key needs a name: say what it is for")
    return name


@keys_app.command("create")
def keys_create(
    customer: Annotated[
        int, typer.Option("--customer", min=1, max=MAX_KEY, help="Whose data it opens.")
    ],
    name: Annotated[str, typer.Option("--name", help="What the key is for.", callback=_not_blank)],
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", help="When it stops working, UTC where no offset is given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once, alone, on standard output, and stored nowhere."""
    settings = read_settings()
    expires_at = expires.replace(tzinfo=expires.tzinfo or UTC) if expires else None
    key_id, key = key_store(settings).create(customer, name, expires_at)
    if as_json:
        print_json({"key_id": key_id, "customer_id": customer, "key": key})
    else:
        out.print(key)
        err.print(f"Key {key_id} for customer {customer}. It is not shown again.")


@keys_app.command("list")
def keys_list(as_json: AsJson = False) -> None:
    """List the keys, without the secrets."""
    records = key_store(read_settings()).list()
    if as_json:
        print_json([dataclasses.asdict(record) for record in records])
    else:
        print_table(
            "API keys",
            ["id", "customer_id", "name", "created_at", "expires_at", "revoked_at"],
            [dataclasses.astuple(record) for record in records],
        )


@keys_app.command("revoke")
def keys_revoke(key_id: Annotated[int, typer.Argument(help="Its number in the list.")]) -> None:
    """Revoke a key: it stops working at once."""
    if not key_store(read_settings()).revoke(key_id):
        complain(f"there is no working key {key_id}: see `agentstats keys list`")
        raise typer.Exit(1)
    err.print(f"Key {key_id} is revoked.")
