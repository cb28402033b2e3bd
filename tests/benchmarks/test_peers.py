"""The programs that the product is compared with give the same tables and answers as it does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from benchmarks.generated import Traffic, write_events
from benchmarks.hourly_peers import PEERS, ours, theirs, verify
from source.server import Server, running_server

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A PostgreSQL server."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small day that the product has published, some of it delivered twice."""
    folder = tmp_path_factory.mktemp("day")
    path = folder / "events.parquet"
    write_events(path, Traffic(3000, customers=20, duplicates=0.2))
    ours(folder, path)
    return path


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_gives_the_same_tables(peer: str, landed: Path, server: Server) -> None:
    """Row by row, the lists of buckets too; and it costs something."""
    cost = theirs(peer, landed.parent, landed, server)
    verify(peer, landed.parent, server)
    assert cost.cpu_seconds > 0.1


def test_a_row_that_differs_is_found(landed: Path, server: Server, tmp_path: Path) -> None:
    """One token too many in one row of one table."""
    theirs("polars", landed.parent, landed, server)
    shutil.copytree(landed.parent / "home" / "snapshots", tmp_path / "home" / "snapshots")
    shutil.copytree(landed.parent / "polars", tmp_path / "polars")
    verify("polars", tmp_path, server)
    path = tmp_path / "polars" / "agent_daily.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"create table rows as from '{path}'")
        connection.execute("update rows set input_tokens = input_tokens + 1 where rowid = 0")
        connection.execute(f"copy rows to '{path}'")
    with pytest.raises(RuntimeError, match="2 rows of agent_daily differ"):
        verify("polars", tmp_path, server)


def test_the_contestants_of_the_api_answer_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every question, over a window that has more days than there is data."""
    from benchmarks import api_peers
    from benchmarks.api_client import keys_of, serving
    from benchmarks.api_server import QUESTIONS, path_of
    from fuzz.load import publish_many

    publish_many(tmp_path, customers=3, days=3)
    keys = keys_of(tmp_path, 3)
    with (
        api_peers.stores(tmp_path) as (server, peers),
        serving(tmp_path, peers=peers, also=[server.pid]) as servers,
    ):
        for question in QUESTIONS:
            api_peers.verify(servers, question, keys)
        other = {"agentstats": "summary", "polars": "timeline"}
        monkeypatch.setattr(api_peers, "CONTESTANTS", tuple(other))
        monkeypatch.setattr(api_peers, "path_of", lambda name, _: path_of(name, other[name]))
        with pytest.raises(RuntimeError, match="do not answer alike"):
            api_peers.verify(servers, "summary", keys)
