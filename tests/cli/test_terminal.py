"""What others wrote, shown by every command on a real terminal: nothing in it is obeyed."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import sys
import termios
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import structlog
import typer.main

from api.auth.keys import KeyStore
from commands import commands_of
from installation import Installation, usage_event
from orchestration.cli import app, main
from orchestration.contract.shown import inert, inert_json, inert_line

CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"
HOSTILE = f"{CLIPBOARD}\x1b[2J\x9b31m\u202egnp\u2066\u2028\rerror: none"
COLOUR = re.compile("\x1b\\[[0-9;]*m")
CUSTOMER = 7
END = b"\0the end\0"


def test_what_a_terminal_obeys_is_spelled_and_all_else_stays() -> None:
    """Over all of Unicode: controls, what sets the direction of writing, ends of lines."""
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        is_unsafe = (
            unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
            or unicodedata.bidirectional(character) in turning
            or character in "\u061c\u200e\u200f"
        )
        assert (inert_line(character) != character) == is_unsafe, hex(number)
        assert inert_line(character).isascii() or not is_unsafe
    assert inert("two\nlines\t\x1b") == "two\nlines\t\\x1b"
    assert inert_line("two\nlines") == "two\\nlines"
    assert inert_json(HOSTILE).isascii() and json.loads(inert_json(HOSTILE)) == HOSTILE


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Standard output and error on a terminal; what it was sent is in the list afterwards."""
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST  # it does not write line ends in its own way
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    sent = bytearray()

    def read() -> None:
        # Not to the end of the file: a process that was started meanwhile may hold it open.
        while not sent.endswith(END):
            sent.extend(os.read(master, 65536))

    reader = threading.Thread(target=read)
    reader.start()
    shown: list[str] = []
    with os.fdopen(slave, "w", encoding="utf-8") as written, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", written)
        patch.setattr(sys, "stderr", written)
        yield shown
        written.write(END.decode())
        written.flush()
        reader.join()
    os.close(master)
    shown.append(sent.removesuffix(END).decode())


def shown_by(monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What a command shows on a terminal."""
    with terminal(monkeypatch) as shown:
        monkeypatch.setattr(sys, "argv", ["agentstats", *words])
        try:
            main()
        except SystemExit:
            pass
        finally:
            structlog.reset_defaults()
    return shown[0]


def test_no_command_lets_others_write_to_the_terminal(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names of files, customers, agents, models, keys and columns; texts of rejected rows."""
    hostile_file = f"{HOSTILE}.ndjson"
    named = {"customer_id": CUSTOMER, "updated_at": "2026-03-01T00:00:00Z"}
    event = usage_event(1, customer_id=CUSTOMER, model_used=f"m{HOSTILE}")
    installation.drop(
        "agent_usage_events", hostile_file,
        [{**event, HOSTILE: 1}, usage_event(2, customer_id=CUSTOMER, input_tokens=HOSTILE)],
    )  # fmt: skip
    installation.drop_bytes("agent_usage_events", f"broken {HOSTILE}.parquet", HOSTILE.encode())
    installation.drop(
        "customers", hostile_file,
        [{**named, "customer_name": HOSTILE, "tier": "free"}, {**named, "customer_id": 8,
          "customer_name": "Eight", "tier": HOSTILE}],
    )  # fmt: skip
    installation.drop(
        "agents", "a.ndjson",
        [{**named, "agent_id": event["agent_id"], "agent_type_id": event["agent_type_id"],
          "agent_name": HOSTILE}],
    )  # fmt: skip
    KeyStore(installation.settings.keys_path).create(CUSTOMER, HOSTILE)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        monkeypatch.setenv("AGENTSTATS_PORT", str(taken.getsockname()[1]))
        commands: dict[str, list[list[str]]] = {
            "serve": [[]],
            "demo": [["--no-serve"]],
            "run": [["hourly"], ["nightly"]],
            "status": [[], ["--json"]],
            "reconcile": [[], ["--json"]],
            "retention": [["--dry-run"], ["--dry-run", "--json"]],
            "export": [["--to", str(tmp_path / "exported")]],
            "sql": [
                ["select customer_name, * from customers, model_daily", "--format", written_as]
                for written_as in ("table", "csv", "json")
            ],
            "keys list": [[], ["--json"]],
            "keys create": [["--customer", "7", "--name", HOSTILE]],
            "keys revoke": [["1"], ["99"]],
            "erase": [["--customer", str(CUSTOMER)]],
            "source check": [[]],
            "source pull": [[]],
            "lake verify": [[], ["--json"]],
            "lake forget": [["--yes", HOSTILE]],
        }
        # `dagster` gives its process to Dagster, which prints by itself.
        assert {*commands, "dagster"} == set(commands_of(typer.main.get_command(app)))
        texts = ""
        for command, calls in commands.items():
            if command.startswith("source"):
                monkeypatch.setenv("AGENTSTATS_POSTGRES_URL", "postgresql://reader@127.0.0.1:1/x")
            for words in calls:
                text = COLOUR.sub("", shown_by(monkeypatch, *command.split(), *words))
                obeyed = set(text) - {"\n", "\t"}
                unsafe = {each for each in obeyed if inert_line(each) != each}
                assert not unsafe, (command, words, text)
                texts += text
    assert texts.count("\\x1b]52;c;ZXZpbA==") > 20, texts
