"""Files that no producer should deliver: each is set aside, or loses rows, and harms nothing else.

Landing runs in a process of its own, so that its peak memory can be measured, and that of the
process that it reads files in.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import structlog

from fuzz.outcome import Outcome
from installation import Installation, installation_in, usage_event, write_rows
from orchestration import pipeline
from orchestration.settings import read_settings
from orchestration.storage.ledger import Ledger
from orchestration.warehouse.reconciliation import reconcile
from torture.steps import ROOT

STREAM = "agent_usage_events"
NOW = "2026-03-01T12:00:00Z"
# Well below the default, to show that it is this that bounds a landing. What Python itself and
# buffers that DuckDB does not count take comes on top.
MEMORY_LIMIT = "1GB"
PEAK_MIB = 1800
ROWS = [usage_event(number, input_tokens=number) for number in range(300)]
DAMAGED_IN_ONE_HOME = 250
# Of the formats, and of how each is packed, what producers write.
_CODECS = ("snappy", "zstd", "gzip", "lz4", "brotli", "uncompressed")
_DAMAGED_NAMES = (
    *("a.ndjson", "a.csv", "a.ndjson.gz", "a.csv.gz", "a.jsonl"),
    *(f"{codec}.parquet" for codec in _CODECS),
)
SECRET = "marmalade"
"""A value in each of the bad files; no reason may quote it."""


@dataclass(frozen=True)
class Landed:
    """What came of a landing: the ledger's entries by file name, and peak memory in MiB."""

    loads: Mapping[str, Mapping[str, Any]]
    peak_mib: int


def land_in_child(home: Path, **settings: str) -> Landed:
    """Land what waits, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "torture.bad_files"],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("AGENTSTATS_")},
            "AGENTSTATS_HOME": str(home),
            "AGENTSTATS_NOW": NOW,
            "AGENTSTATS_MEMORY_LIMIT": MEMORY_LIMIT,
            **settings,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"landing ended with {done.returncode}: {done.stderr[-500:]}")
    answer = json.loads(done.stdout)
    return Landed(answer["loads"], answer["peak_mib"])


def drop(home: Path, name: str, content: bytes) -> Path:
    """Write a file of usage events as it is."""
    path = home / "landing" / STREAM / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def written(name: str, rows: list[dict[str, Any]]) -> bytes:
    """The rows in the format of the name."""
    buffer = io.StringIO()
    if name.endswith(".csv"):
        writer = csv.DictWriter(buffer, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    else:
        buffer.write("".join(json.dumps(row) + "\n" for row in rows))
    return buffer.getvalue().encode()


def by_hand(folder: Path) -> dict[str, tuple[bytes, str | dict[str, int]]]:
    """Bad files by name: the bytes, and either part of the reason for which the whole file is set
    aside, or how many of its rows are rejected, by reason."""
    ndjson, text = written("a.ndjson", _named("n")), written("a.csv", _named("c"))
    parquet = _parquet(folder, _named("p"))
    long, nul = b"x" * 10_000_000, b"\x00"
    broken = b"\xff\xfe"
    no_tokens = [{k: v for k, v in row.items() if k != "input_tokens"} for row in _named("w")]
    retyped = [{**row, "input_tokens": SECRET} for row in _named("r")]
    return {
        "truncated.parquet": (parquet[: len(parquet) // 2], "cannot be read as parquet"),
        "truncated.ndjson": (ndjson[:-40], {"malformed_row": 1}),
        "truncated.csv": (text[:-60], {"malformed_row": 1}),
        "truncated.ndjson.gz": (gzip.compress(ndjson)[:-20], "cut off where it is packed"),
        "truncated.csv.gz": (gzip.compress(text)[:-20], "cut off where it is packed"),
        "empty.parquet": (b"", "cannot be read as parquet"),
        "empty.csv": (b"", "is empty"),
        "empty.ndjson": (b"", {}),
        "empty.ndjson.gz": (gzip.compress(b""), {}),
        "no-bytes.csv.gz": (b"", "is not packed with gzip"),
        "parquet-as.csv": (parquet, "is a Parquet file"),
        "parquet-as.ndjson": (parquet, "is a Parquet file"),
        "csv-as.parquet": (text, "cannot be read as parquet"),
        "csv-as.ndjson": (text, "no line is a JSON object"),
        "ndjson-as.csv": (ndjson, "misses the required columns"),
        "gzip-as.csv": (gzip.compress(text), "is packed with gzip"),
        "plain-as.csv.gz": (text, "is not packed with gzip"),
        "utf-16.csv": (text.decode().encode("utf-16"), "UTF-8"),
        "array.ndjson": (json.dumps(_named("j")).encode(), "is one JSON array"),
        "no-header.csv": (text.split(b"\n", 1)[1], "misses the required columns event_id"),
        "no-tokens.csv": (written("a.csv", no_tokens), "required column input_tokens"),
        "no-tokens.ndjson": (written("a", no_tokens), "required column input_tokens"),
        "no-tokens.parquet": (_parquet(folder, no_tokens), "required column input_tokens"),
        "retyped.parquet": (_parquet(folder, retyped), {"invalid_input_tokens": len(ROWS)}),
        "retyped.csv": (written("a.csv", retyped), {"invalid_input_tokens": len(ROWS)}),
        "long.ndjson": (_replaced(ndjson, "n", long), {"invalid_event_id": 1}),
        "long.csv": (_replaced(text, "c", long), {"invalid_event_id": 1}),
        "too-long.csv": (_replaced(text, "c", long * 4), "line 5 is longer than 32 MiB"),
        "too-long.ndjson.gz": (
            gzip.compress(_replaced(ndjson, "n", long * 4), 1), "line 4 is longer than 32 MiB",
        ),
        "nul.ndjson": (_replaced(ndjson, "n", nul), {"malformed_row": 1}),
        "invalid-utf-8.ndjson": (_replaced(ndjson, "n", broken), {"malformed_row": 1}),
        "invalid-utf-8.csv": (_replaced(text, "c", broken), {"malformed_row": 1}),
        "16,000-columns.csv": (
            text.replace(
                b"\r\n", "".join(f",column-{n}" for n in range(16_000)).encode() + b"\r\n", 1
            ),
            "columns",
        ),
        "many-keys.ndjson": (
            "".join(
                json.dumps({**row, f"key-{n}-{'k' * 1000}": SECRET})[:-1] + "}\n"
                for n, row in enumerate(_named("k"))
            ).encode(),
            {},
        ),
    }  # fmt: skip


def run(folder: Path, *, flips: int, damaged: int, bomb_gb: float, seed: int = 5) -> Outcome:
    """Bad files of every kind, bit flips at so many positions of each format, so many damaged files
    of all formats, and bombs."""
    outcome = Outcome()
    peak = _each_by_hand(outcome, folder / "by-hand")
    outcome.figures["by hand, peak MiB"] = peak
    for name in ("a.parquet", "a.ndjson", "a.csv", "a.ndjson.gz", "a.csv.gz"):
        home = folder / f"flips-{name}"
        peak = max(peak, _flips(outcome, home, name, flips))
    peak = max(peak, _damaged(outcome, folder / "damaged", damaged, seed))
    peak = max(peak, _bombs(outcome, folder / "bombs", bomb_gb))
    peak = max(peak, _bombs_of_parquet(outcome, folder / "bombs-of-parquet", bomb_gb / 5))
    _growing(outcome, folder / "growing")
    outcome.figures["peak memory of all, MiB"] = peak
    outcome.claim(peak < PEAK_MIB, f"landing took {peak} MiB")
    return outcome


def _each_by_hand(outcome: Outcome, home: Path) -> int:
    home.mkdir(parents=True)
    bad = by_hand(home)
    for name, (content, _) in bad.items():
        drop(home, name, content)
    # Before and after all of them.
    for name in ("0.ndjson", "~.ndjson"):
        drop(home, name, written(name, [usage_event(name)]))  # type: ignore[arg-type]  # its id
    landed = land_in_child(home)
    for name in ("0.ndjson", "~.ndjson"):
        outcome.claim(landed.loads[name]["accepted"] == 1, f"{name} was harmed")
    for name, (_, expected) in bad.items():
        load = landed.loads[name]
        outcome.claim(_adds_up(load), f"{name} does not add up: {load}")
        if isinstance(expected, str):
            is_right = load["status"] == "failed" and expected in load["failure"]
        else:
            is_right = load["rejected_by_reason"] == expected
        outcome.claim(is_right, f"{name}: expected {expected!r}, found {load}")
        outcome.claim(SECRET not in json.dumps(load), f"{name}: the ledger quotes a row: {load}")
        reason = home / "landing/_failed" / STREAM / f"{name}.reason.txt"
        if load["status"] == "failed":
            text = reason.read_text()
            outcome.claim(f"{STREAM}/{name}" in text, f"{name}: its reason does not name it")
            outcome.claim(SECRET not in text, f"{name}: its reason quotes a row")
    outcome.figures["files by hand"] = len(bad)
    return landed.peak_mib


def _flips(outcome: Outcome, home: Path, name: str, count: int) -> int:
    """One bit wrong at random positions. What could be another value is loaded."""
    home.mkdir(parents=True)
    chance = random.Random(5)
    good = written(name, _named("f"))
    if name.endswith(".parquet"):
        good = _parquet(home, _named("f"))
    elif name.endswith(".gz"):
        good = gzip.compress(written(name.removesuffix(".gz"), _named("f")))
    for number in range(count):
        flipped = bytearray(good)
        flipped[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        drop(home, f"{number:04}-{name}", bytes(flipped))
    drop(home, "~.ndjson", written("a", [usage_event(10**6)]))
    landed = land_in_child(home)
    flipped_loads = [load for file, load in landed.loads.items() if file != "~.ndjson"]
    outcome.claim(landed.loads["~.ndjson"]["accepted"] == 1, f"{name}: a good file was harmed")
    outcome.claim(len(flipped_loads) == count, f"{name}: a file is not in the ledger")
    outcome.claim(all(map(_adds_up, flipped_loads)), f"{name}: a file does not add up")
    set_aside = sum(load["status"] == "failed" for load in flipped_loads)
    # The first good one of these files brings all rows; the others repeat them.
    changed = sum(
        load["status"] == "loaded"
        and (load["rejected"] or load["conflicting_duplicates"] or load["accepted"]) != 0
        for load in flipped_loads
    )
    outcome.figures[f"{name}: flipped, set aside, with other rows"] = (count, set_aside, changed)
    if name.endswith(".gz"):
        # In the header, a flipped bit may change the time or the name that no reader uses.
        unnoticed = [load for load in flipped_loads if load["status"] == "loaded"]
        outcome.claim(
            sum(load["accepted"] > 0 for load in unnoticed) <= 1
            and not any(load["rejected"] or load["conflicting_duplicates"] for load in unnoticed),
            f"{name}: a flipped bit became another value",
        )
    return landed.peak_mib


def _damaged(outcome: Outcome, folder: Path, count: int, seed: int) -> int:
    """Files of all formats and packings with bytes flipped, cut out and spliced, good ones among
    them: whatever becomes of the former, the latter are loaded whole, and all of it rolls up."""
    folder.mkdir(parents=True)
    whole = _whole_files(folder)
    names = list(whole)
    peak = set_aside = lost = ended = 0
    for part, first in enumerate(range(0, count, DAMAGED_IN_ONE_HOME)):
        home = folder / f"home-{part}"
        numbers = range(first, min(count, first + DAMAGED_IN_ONE_HOME))
        good = {}
        for number in numbers:
            chance = random.Random(f"{seed}/{number}")
            name = names[number % len(names)]
            drop(home, f"{number:05}-{name}", damage(whole[name], whole, chance))
            if number % 10 == 0:
                good[f"{number:05}-good.ndjson"] = [
                    usage_event(number * 10 + row, customer_id=2) for row in range(3)
                ]
        for name, rows in good.items():
            drop(home, name, written(name, rows))
        loads: dict[str, Mapping[str, Any]] = {}
        # What a file does to its reader may be found out in this run or in the next.
        for _ in range(2):
            try:
                landed = land_in_child(home)
            except AssertionError as problem:
                ended += 1
                outcome.claim(False, f"seed {seed}, files {numbers}: {problem}")
                continue
            loads.update(landed.loads)
            peak = max(peak, landed.peak_mib)
        for name, rows in good.items():
            lost += len(rows) - (loads[name]["accepted"] if name in loads else 0)
        outcome.claim(
            len(loads) == len(numbers) + len(good),
            f"seed {seed}, files {numbers}: {len(loads)} of {len(numbers) + len(good)} recorded",
        )
        wrong = [name for name, load in loads.items() if not _adds_up(load)]
        outcome.claim(not wrong, f"seed {seed}: these do not add up: {wrong}")
        set_aside += sum(load["status"] == "failed" for load in loads.values())
        lost += _lost_from_the_marts(outcome, home, 3 * len(good), f"seed {seed}, files {numbers}")
    outcome.figures["damaged files, seed"] = (count, seed)
    outcome.figures["of them set aside"] = set_aside
    outcome.figures["runs that they ended"] = ended
    outcome.figures["good rows lost beside them"] = lost
    outcome.claim(lost == 0, f"seed {seed}: {lost} good rows were lost beside damaged files")
    return peak


def _lost_from_the_marts(outcome: Outcome, home: Path, rows: int, what: str) -> int:
    """Run what comes after landing; return how many of the good rows the marts lack."""
    with installation_in(home.parent / "rolled-up", NOW) as installation:
        installation.home.rmdir()
        home.rename(installation.home)
        hourly = installation.try_run()
        outcome.claim(hourly.succeeded, f"{what}: hourly: {hourly.problem}")
        if not hourly.succeeded:
            return rows
        _claim_that_it_adds_up(outcome, installation, what)
        found = installation.marts(
            "select coalesce(sum(message_count), 0)::bigint as messages "
            "from marts.usage_quarter_hourly where customer_id = 2"
        )
    return max(0, rows - int(found[0]["messages"]))


def _claim_that_it_adds_up(outcome: Outcome, installation: Installation, what: str) -> None:
    with installation.ledger() as ledger:
        proof = reconcile(installation.settings, ledger)
    differences = [*proof.differences, *proof.file_differences]
    outcome.claim(proof.adds_up, f"{what}: does not add up: {differences}")


def _whole_files(folder: Path) -> dict[str, bytes]:
    """A good file of each format and packing, of rows that are in no other."""
    files = {}
    for name in _DAMAGED_NAMES:
        rows = [{**row, "event_id": f"{name}-{row['event_id']}"} for row in ROWS[:40]]
        if name.endswith(".parquet"):
            path = folder / name
            plain = folder / "plain.parquet"
            write_rows(plain, rows)
            with duckdb.connect() as connection:
                connection.execute(
                    f"copy (from read_parquet('{plain}')) to '{path}' "
                    f"(format parquet, compression {name.removesuffix('.parquet')}, "
                    f"parquet_version {'v2' if name < 'm' else 'v1'})"
                )
            files[name] = path.read_bytes()
            path.unlink()
            plain.unlink()
        else:
            content = written(name.removesuffix(".gz"), rows)
            files[name] = gzip.compress(content) if name.endswith(".gz") else content
    return files


def damage(content: bytes, others: Mapping[str, bytes], chance: random.Random) -> bytes:
    """The file with one to three things done to it that storage, networks and people do."""
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        start = chance.randrange(len(damaged) + 1)
        length = min(len(damaged) - start, chance.choice((1, 2, 4, 8, 64, 512)))
        match chance.choice(("flip", "flip", "noise", "zero", "cut", "end", "splice", "twice")):
            case "flip":
                for _ in range(chance.choice((1, 1, 4, 16))):
                    if damaged:
                        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            case "noise":
                damaged[start : start + length] = chance.randbytes(length)
            case "zero":
                damaged[start : start + length] = bytes(length)
            case "cut":
                del damaged[start : start + length]
            case "end":
                del damaged[start:]
            case "splice":
                other = others[chance.choice(sorted(others))]
                begin = chance.randrange(len(other))
                damaged[start : start + length] = other[begin : begin + chance.choice((8, 64, 512))]
            case "twice":
                damaged[start:start] = damaged[start : start + length]
    return bytes(damaged)


def _bombs_of_parquet(outcome: Outcome, home: Path, share: float) -> int:
    """Kilobytes that are gigabytes of text, or sums that nothing can hold, by their dictionary."""
    rows = max(20, round(4000 * share))
    usage = "1 as customer_id, 1 as agent_id, 5 as agent_type_id"
    time = "timestamp '2026-02-28 08:00:00' as occurred_at"
    bombs = {
        (STREAM, "text.parquet", rows, "invalid_model_used"): (
            f"select 'e' || i as event_id, {usage}, repeat('x', 1000000) as model_used, "
            f"1 as input_tokens, 1 as output_tokens, {time} from range({rows}) as numbers (i)"
        ),
        ("audit_events", "sums.parquet", 2 * rows, "invalid_pii_redactions"): (
            f"select 'a' || i as audit_id, {usage}, map_from_entries(list_transform(range(1000), "
            f"lambda n: ('E' || n, 1000000000000))) as pii_redactions, {time} "
            f"from range({2 * rows}) as numbers (i)"
        ),
    }
    peak = 0
    for (stream, name, count, reason), query in bombs.items():
        path = home / "landing" / stream / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(
                f"copy ({query}) to '{path}' (format parquet, compression zstd, "
                "string_dictionary_page_size_limit 1073741824)"
            )
        size = path.stat().st_size
        drop(home, f"~{name}.ndjson", written("a", [usage_event(name)]))  # type: ignore[arg-type]  # its id
        landed = land_in_child(home)
        load = landed.loads[name]
        room = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
        outcome.figures[f"{name}: bytes, rows, peak MiB, MiB on disk"] = (
            size, count, landed.peak_mib, room // 2**20,
        )  # fmt: skip
        outcome.claim(load["rejected_by_reason"] == {reason: count}, f"{name}: {load}")
        outcome.claim(
            landed.loads[f"~{name}.ndjson"]["accepted"] == 1, f"{name} harmed another file"
        )
        outcome.claim(room < 64 * 2**20, f"{name} left {room // 2**20} MiB on disk")
        peak = max(peak, landed.peak_mib)
    return peak


def _bombs(outcome: Outcome, home: Path, gigabytes: float) -> int:
    """Small files that unpack to gigabytes: of one line, of empty lines, of one row again."""
    header = written("a.csv", ROWS[:1]).split(b"\n")[0] + b"\n"
    peak = 0
    for name, unit in {
        "line.ndjson.gz": b" ",
        "line.csv.gz": b"x",
        "empty-lines.csv.gz": b"\n",
        "rows.ndjson.gz": written("a", ROWS[:1]),
    }.items():
        chunk = unit * (2**20 // len(unit) + 1)
        path = drop(home, name, b"")
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(header if ".csv" in name else b"")
            for _ in range(round(gigabytes * 10**9 / len(chunk)) + 1):
                file.write(chunk)
        size = path.stat().st_size
        drop(home, f"~{name}.ndjson", written("a", [usage_event(name)]))  # type: ignore[arg-type]  # its id
        landed = land_in_child(home, AGENTSTATS_MAX_UNPACKED_GB=str(min(2, gigabytes / 2)))
        load = landed.loads[name]
        outcome.figures[f"{name}: GB from MB, peak MiB"] = (
            gigabytes, round(size / 10**6, 1), landed.peak_mib,
        )  # fmt: skip
        outcome.claim(
            load["status"] == "failed"
            and bool(re.search("unpacks to more than|is longer than", load["failure"])),
            f"{name} was not set aside: {load}",
        )
        outcome.claim(
            landed.loads[f"~{name}.ndjson"]["accepted"] == 1, f"{name} harmed another file"
        )
        peak = max(peak, landed.peak_mib)
    return peak


def _growing(outcome: Outcome, home: Path) -> None:
    """A file that is written to while it is read is left alone, and loaded whole later."""
    path = drop(home, "a.csv", written("a.csv", ROWS))
    rows = len(ROWS)
    stop = threading.Event()

    def grow() -> None:
        nonlocal rows
        with path.open("ab", buffering=0) as file:
            while not stop.wait(0.002):
                file.write(written("a.csv", [usage_event(rows)]).split(b"\n", 1)[1])
                rows += 1

    growing = threading.Thread(target=grow)
    growing.start()
    landed = land_in_child(home)
    stop.set()
    growing.join()
    outcome.claim(landed.loads == {}, f"a growing file was recorded: {landed.loads}")
    load = land_in_child(home).loads["a.csv"]
    outcome.figures["a growing file, rows then loaded"] = load["accepted"]
    outcome.claim(load["accepted"] == rows, f"{load['accepted']} rows of {rows}")


def _named(prefix: str) -> list[dict[str, Any]]:
    """The rows, of one file only, with the value that no reason may quote."""
    return [
        {**row, "event_id": f"{prefix}-{SECRET}-{number}", "model_used": SECRET}
        for number, row in enumerate(ROWS)
    ]


def _replaced(content: bytes, prefix: str, value: bytes) -> bytes:
    """The file with the identity of its fourth row made longer."""
    name = f"{prefix}-{SECRET}-3".encode()
    assert content.count(name) > 1
    ending = b'"' if b'"' + name + b'"' in content else b","
    return content.replace(name + ending, name + value + ending, 1)


def _parquet(folder: Path, rows: list[dict[str, Any]]) -> bytes:
    path = folder / "made.parquet"
    write_rows(path, rows)
    content = path.read_bytes()
    path.unlink()
    return content


def _adds_up(load: Mapping[str, Any]) -> bool:
    parts = load["accepted"] + load["duplicates"] + load["rejected"]
    return bool(load["rows_read"] == parts)


def _land() -> None:
    """In the child: land, and print what came of it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    settings = read_settings()
    with closing(Ledger(settings.ledger_path)) as ledger:
        loads = {Path(load.source_file).name: load for load in pipeline.land(settings, ledger)}
    names = ("status", "failure", "rows_read", "accepted", "duplicates", "rejected",
             "conflicting_duplicates")  # fmt: skip
    print(
        json.dumps(
            {
                "loads": {
                    file: {
                        **{name: getattr(load, name) for name in names},
                        "rejected_by_reason": dict(load.rejected_by_reason),
                        "unknown_columns": load.unknown_columns,
                    }
                    for file, load in loads.items()
                },
                "peak_mib": max(
                    resource.getrusage(whose).ru_maxrss // 1024
                    for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
                ),
            }
        )
    )


if __name__ == "__main__":
    _land()
