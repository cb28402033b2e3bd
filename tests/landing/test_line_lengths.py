"""What is found out about the lines of a text file before DuckDB reads it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.contract.streams import AGENT_USAGE_EVENTS
from orchestration.landing import opened
from orchestration.landing.files import LandedFile, UnreadableFile
from orchestration.landing.opened import opened_text

LONGEST = 64
PACKERS: dict[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.tuples(st.integers(0, LONGEST + 8), st.sampled_from([b"\n", b"\r\n", b"\r"])),
        max_size=30,
    ),
    chunk=st.integers(1, LONGEST),
    packing=st.sampled_from([None, "gzip", "zstd"]),
)
def test_lines_are_split_by_their_ends_and_one_that_is_too_long_by_its_number(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[tuple[int, bytes]],
    chunk: int,
    packing: str | None,
) -> None:
    """In whatever parts the file is read, and however it is packed."""
    monkeypatch.setattr(opened, "MAX_LINE_BYTES", LONGEST)
    monkeypatch.setattr(opened, "_CHUNK_BYTES", chunk)
    monkeypatch.setattr(opened, "_FRAME_PART_BYTES", chunk)
    content = b"".join(b"x" * length + end for length, end in lines)
    path = tmp_path / "events"
    path.write_bytes(PACKERS[packing](content))
    file = LandedFile(path, AGENT_USAGE_EVENTS, "csv", packing)
    ends = set(re.findall(rb"\r\n|\r|\n", content))
    lengths = [len(line) for line in re.split(rb"\r\n|\r|\n", content)]
    too_long = [number for number, length in enumerate(lengths, start=1) if length > LONGEST]
    if too_long:
        with (
            pytest.raises(UnreadableFile, match=f"^line {too_long[0]} is longer than"),
            opened_text(file, tmp_path, unpacked_limit=10**9),
        ):
            pass
        return
    with opened_text(file, tmp_path, unpacked_limit=10**9) as text:
        assert text.line_end == (ends.pop() if len(ends) == 1 else None if ends else b"\n")
        assert text.binary.read() == content
