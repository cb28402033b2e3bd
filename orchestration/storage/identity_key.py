"""The key that ids of end users and sessions are hashed with: one secret of each installation.

Marts and the ledger have such hashes and no ids. Whoever has the hashes alone cannot try ids out;
whoever has the key as well can, so it is in a file of its own, readable by the owner alone.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from orchestration.errors import AgentstatsError
from orchestration.storage.durable import sync_folder

_SECRET = re.compile(r"[0-9a-f]{64}")


class IdentityKeyUnusable(AgentstatsError):
    """The file of the key is not what was written there; the message says what to do."""


def read_identity_key(path: Path) -> str:
    """The key, 64 hexadecimal digits, made where there is none yet.

    Raises `IdentityKeyUnusable` where the file holds something else.
    """
    if not path.exists():
        _write(path, secrets.token_hex(32))
    found = path.read_text(encoding="ascii", errors="replace").strip()
    if not _SECRET.fullmatch(found):
        raise IdentityKeyUnusable(
            f"{path} does not hold the 64 digits that were written there: restore it from a "
            "backup. Without one, remove it; then all marts are rebuilt with a new key"
        )
    return found


def _write(path: Path, secret: str) -> None:
    """All of it or nothing, however it is cut off."""
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{secret}\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)
