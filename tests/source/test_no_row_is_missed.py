"""The cursor: whatever commits, in whatever order and by whatever clock, arrives once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from installation import Installation
from orchestration.contract.streams import AGENT_USAGE_EVENTS
from orchestration.settings import Settings
from orchestration.source import cursor as cursors
from source.platform_rows import ids_in_lake, pull_and_land, write_usage
from source.server import Server, empty_platform, running_server

pytestmark = pytest.mark.postgres


def rows_pulled(installation: Installation, **options: bool) -> int:
    """Rows of usage events that a pull reads, landed; there must be no problem."""
    done, _ = pull_and_land(installation, AGENT_USAGE_EVENTS, **options)
    assert not done.problems
    return done.rows


def test_a_second_pull_reads_nothing_where_nothing_was_written(
    server: Server, platform: Installation
) -> None:
    """No rows, no file, no load."""
    with server.connect() as session:
        write_usage(session, "a", "b")
    assert rows_pulled(platform) == 2
    assert rows_pulled(platform) == 0
    assert len(platform.loads()) == 1


def test_what_commits_late_arrives(server: Server, platform: Installation) -> None:
    """A transaction that was open during a pull is read by the next one, with rows written later
    and committed earlier around it."""
    with server.connect(autocommit=False) as late, server.connect() as session:
        write_usage(late, "late-1")
        write_usage(session, "early-1")
        assert rows_pulled(platform) == 1
        write_usage(session, "early-2")
        write_usage(late, "late-2")
        rows_pulled(platform)
        assert ids_in_lake(platform) == ["early-1", "early-2"]
        late.commit()
        write_usage(session, "early-3")
    rows_pulled(platform)
    assert ids_in_lake(platform) == ["early-1", "early-2", "early-3", "late-1", "late-2"]


def test_what_a_savepoint_wrote_arrives(server: Server, platform: Installation) -> None:
    """A savepoint's rows carry a number of their own, which no snapshot lists as open."""
    with server.connect(autocommit=False) as late:
        write_usage(late, "before")
        with late.transaction():
            write_usage(late, "inside-1")
        rows_pulled(platform)
        with server.connect() as session:
            write_usage(session, "other")
        rows_pulled(platform)
        with late.transaction():
            write_usage(late, "inside-2")
        late.commit()
    rows_pulled(platform)
    assert ids_in_lake(platform) == ["before", "inside-1", "inside-2", "other"]


def test_a_prepared_transaction_arrives_once_it_is_committed(
    server: Server, platform: Installation
) -> None:
    """Two-phase commit holds the horizon, with no session open."""
    with server.connect(autocommit=False) as session:
        write_usage(session, "prepared")
        session.execute("prepare transaction 'two phases'")
    with server.connect() as session:
        write_usage(session, "after")
        rows_pulled(platform)
        assert ids_in_lake(platform) == ["after"]
        session.execute("commit prepared 'two phases'")
    rows_pulled(platform)
    assert ids_in_lake(platform) == ["after", "prepared"]


def test_an_aborted_transaction_leaves_nothing(server: Server, platform: Installation) -> None:
    """Neither its rows nor a hole: what others wrote meanwhile is there."""
    with server.connect(autocommit=False) as aborted, server.connect() as session:
        write_usage(aborted, "aborted")
        write_usage(session, "kept-1")
        rows_pulled(platform)
        aborted.rollback()
        write_usage(session, "kept-2")
    rows_pulled(platform)
    assert ids_in_lake(platform) == ["kept-1", "kept-2"]


def test_clocks_play_no_part(server: Server, platform: Installation) -> None:
    """Times that are equal, go backwards, or are not there at all lose no row."""
    with server.connect() as session:
        write_usage(session, "now", received_at="2026-03-01T08:00:00Z")
        rows_pulled(platform)
        write_usage(session, "same", received_at="2026-03-01T08:00:00Z")
        write_usage(session, "slow clock", at="2025-06-01T08:00:00Z", received_at="2025-06-01Z")
        write_usage(session, "no clock", received_at=None)
    rows_pulled(platform)
    assert ids_in_lake(platform) == ["no clock", "now", "same", "slow clock"]


def test_an_update_arrives_as_a_newer_version(server: Server, platform: Installation) -> None:
    """A row that is written over is read again, and the greatest received_at wins in the marts."""
    with server.connect() as session:
        write_usage(session, "a", "b")
        rows_pulled(platform)
        session.execute(
            "update agent_usage_events set input_tokens = 900, "
            "received_at = received_at + interval '1 second' where event_id = 'a'"
        )
    platform.run()
    rows = platform.marts("select message_count, input_tokens from marts.customer_daily")
    assert rows == [{"message_count": 2, "input_tokens": 1000}]
    assert rows_pulled(platform) == 0


def cut_off_in_the_fourth_chunk(
    platform: Installation, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Pull 1000 rows at a time until cut off. Returns the rows of each chunk, later ones too."""
    platform.environment.setenv("AGENTSTATS_POSTGRES_CHUNK_ROWS", "1000")
    real = cursors.after_chunk
    chunks: list[int] = []

    def after_chunk(cursor: cursors.Cursor, to_page: int, rows: int) -> cursors.Cursor:
        chunks.append(rows)
        if len(chunks) == 4:
            raise KeyboardInterrupt
        return real(cursor, to_page, rows)

    monkeypatch.setattr("orchestration.source.pull.after_chunk", after_chunk)
    with pytest.raises(KeyboardInterrupt):
        rows_pulled(platform)
    return chunks


def test_a_first_pull_goes_on_where_it_was_cut_off(
    server: Server, platform: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks that are in files are not read again, and what is written behind the pull's back,
    moves between pages or is added while it lasts arrives all the same."""
    server.run(
        "insert into agent_usage_events select 'event-' || n, 1, 11, 5, 'm', 1, 1, 2, 1, "
        "'2026-03-01T08:00:00Z', null from generate_series(1, 10000) as n"
    )
    chunks = cut_off_in_the_fourth_chunk(platform, monkeypatch)
    server.run(
        # To the pages at the end, and freed for others at the start.
        "update agent_usage_events set input_tokens = 2, received_at = '2026-03-01T09:00:00Z' "
        "where event_id in ('event-1', 'event-9999')",
        "vacuum agent_usage_events",
    )
    with server.connect() as session:
        write_usage(session, "new")
    rest = rows_pulled(platform)
    assert 6000 < rest < 8000
    assert len(chunks) > 8
    rows_pulled(platform)
    ids = ids_in_lake(platform)
    assert len(set(ids)) == 10001
    # One was read before its update and after it, the other after it only.
    assert ids.count("event-1") == 2 and ids.count("event-9999") == 1
    assert len(ids) == 10002


def test_a_table_that_is_rewritten_during_its_first_pull_is_begun_again(
    server: Server, platform: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VACUUM FULL and CLUSTER move rows into pages that were read already."""
    server.run(
        "insert into agent_usage_events select 'event-' || n, 1, 11, 5, 'm', 1, 1, 2, 1, "
        "'2026-03-01T08:00:00Z', null from generate_series(1, 9000) as n",
        "delete from agent_usage_events where hashtext(event_id) % 4 = 0",
    )
    cut_off_in_the_fourth_chunk(platform, monkeypatch)
    server.run("vacuum full agent_usage_events")
    rows_pulled(platform)
    expected = {row[0] for row in server.rows("select event_id from agent_usage_events")}
    assert set(ids_in_lake(platform)) == expected
    assert len(ids_in_lake(platform)) == len(expected)


def test_a_partition_that_is_attached_late_arrives_whole(
    server: Server, platform: Installation
) -> None:
    """Its rows may be older than the horizon; its being new is what counts."""
    server.run(
        "alter table agent_usage_events rename to plain",
        "create table agent_usage_events (like plain) partition by range (occurred_at)",
        "create table february partition of agent_usage_events "
        "for values from ('2026-02-01Z') to ('2026-03-01Z')",
        "create table march (like plain)",
    )
    with server.connect() as session:
        write_usage(session, "february", at="2026-02-20Z")
        session.execute("insert into march select * from plain")
        session.execute(
            "insert into march values "
            "('march', 1, 11, 5, 'm', 1, 1, 2, 1, '2026-03-01T08:00:00Z', null)"
        )
        rows_pulled(platform)
        write_usage(session, "february again", at="2026-02-21Z")
        rows_pulled(platform)
        assert ids_in_lake(platform) == ["february", "february again"]
        session.execute(
            "alter table agent_usage_events attach partition march "
            "for values from ('2026-03-01Z') to ('2026-04-01Z')"
        )
    assert rows_pulled(platform) >= 1
    assert ids_in_lake(platform) == ["february", "february again", "march"]
    assert rows_pulled(platform) == 0


def test_another_table_of_the_same_name_is_read_from_its_start(
    server: Server, platform: Installation
) -> None:
    """A table that takes another's place may hold rows that are older than the horizon."""
    with server.connect() as session:
        session.execute("create table next (like agent_usage_events)")
        session.execute(
            "insert into next values "
            "('next', 1, 11, 5, 'm', 1, 1, 2, 1, '2026-03-01T08:00:00Z', null)"
        )
        write_usage(session, "old")
        rows_pulled(platform)
        session.execute("alter table agent_usage_events rename to old")
        session.execute("alter table next rename to agent_usage_events")
    assert rows_pulled(platform) == 1
    assert ids_in_lake(platform) == ["next", "old"]


def test_the_horizon_outlives_a_wrap_of_transaction_numbers() -> None:
    """Transactions are compared over the point where their 32 bits begin again."""
    assert cursors.comparable_xid(5 * 2**32 + 1) == 2**32 - 2
    assert cursors.comparable_xid(5 * 2**32 + 3) == 3
    assert cursors.comparable_xid(7) == 7


def test_pulls_over_the_wrap_of_transaction_numbers_lose_nothing(
    installation: Installation,
) -> None:
    """A server that is brought close to the wrap, as pg_resetwal can, and taken over it."""
    with running_server("autovacuum = off") as server:
        empty_platform(server)
        # What is frozen is old whatever the numbers say.
        server.freeze()
        server.stop()
        server.reset_next_xid(2**32 - 20)
        server.start()
        installation.environment.setenv("AGENTSTATS_POSTGRES_URL", server.reader_url)
        expected = []
        with server.connect() as session:
            for number in range(60):
                expected.append(f"event-{number:03d}")
                write_usage(session, expected[-1])
                if number % 7 == 0:
                    assert rows_pulled(installation) <= 8
        rows_pulled(installation)
        assert ids_in_lake(installation) == expected
        assert server.rows("select pg_current_xact_id()::text::bigint > 4294967296")[0][0]


def test_a_restored_server_is_read_from_its_start(server: Server, platform: Installation) -> None:
    """After a restore the same numbers are given to other rows, so the horizon says nothing."""
    with server.connect() as session:
        write_usage(session, "a", "b")
    rows_pulled(platform)
    settings: Settings = platform.settings
    with platform.ledger() as ledger:
        kept = cursors.cursor_from(ledger.source_cursor("agent_usage_events"))
        assert kept is not None and kept.horizon is not None
        for changed in (
            replace(kept, history="another/1/5"),
            replace(kept, horizon=kept.horizon + 1000),
        ):
            ledger.move_source_cursor("agent_usage_events", changed.to_json(), settings.clock())
            assert rows_pulled(platform) == 2
            assert rows_pulled(platform) == 0
    assert ids_in_lake(platform) == ["a", "b"]


def test_from_start_reads_everything_again_and_adds_nothing(
    server: Server, platform: Installation
) -> None:
    """Duplicates, all of them."""
    with server.connect() as session:
        write_usage(session, "a", "b")
    rows_pulled(platform)
    assert rows_pulled(platform, from_start=True) == 2
    assert ids_in_lake(platform) == ["a", "b"]


@pytest.mark.parametrize("column_type", ["xid8", "bigint"])
def test_a_column_with_the_transaction_is_read_by_its_index(
    server: Server, platform: Installation, column_type: str
) -> None:
    """With AGENTSTATS_POSTGRES_XID_COLUMNS no pull scans the table, and none loses a late row."""
    cast = "" if column_type == "xid8" else "::text::bigint"
    server.run(
        f"alter table agent_usage_events add column written_by {column_type} not null default '0'",
        "alter table agent_usage_events alter column written_by "
        f"set default pg_current_xact_id(){cast}",
        "create index on agent_usage_events (written_by)",
    )
    platform.environment.setenv(
        "AGENTSTATS_POSTGRES_XID_COLUMNS", '{"agent_usage_events": "written_by"}'
    )
    insert = (
        "insert into agent_usage_events (event_id, customer_id, agent_id, agent_type_id, "
        "input_tokens, output_tokens, occurred_at) values (%s, 1, 11, 5, 1, 1, '2026-03-01Z')"
    )
    with server.connect(autocommit=False) as late, server.connect() as session:
        late.execute(insert, ("late",))
        session.execute(insert, ("early",))
        assert rows_pulled(platform) == 1
        late.commit()
    assert rows_pulled(platform) == 2
    assert rows_pulled(platform) == 0
    assert ids_in_lake(platform) == ["early", "late"]


def test_a_view_is_read_by_the_stamp_that_it_shows_or_whole(
    server: Server, platform: Installation
) -> None:
    """A view has no stamp of its own: all of it is read each time, unless it hands one through."""
    server.run(
        "create view shown as select *, xmin as stamp from agent_usage_events",
        "grant select on shown to reader",
    )
    platform.environment.setenv("AGENTSTATS_POSTGRES_TABLES", '{"agent_usage_events": "shown"}')
    with server.connect(autocommit=False) as late, server.connect() as session:
        write_usage(late, "late")
        write_usage(session, "early")
        assert rows_pulled(platform) == 1
        assert rows_pulled(platform) == 0, "no file where nothing has changed"
        late.commit()
        assert rows_pulled(platform) == 2
        platform.environment.setenv(
            "AGENTSTATS_POSTGRES_XID_COLUMNS", '{"agent_usage_events": "stamp"}'
        )
        assert rows_pulled(platform) == 2
        write_usage(session, "new")
        assert rows_pulled(platform) == 1
    assert ids_in_lake(platform) == ["early", "late", "new"]
