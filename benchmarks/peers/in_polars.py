"""The usage tables with Polars, as Parquet files: `python -m … <landing file> <folder>`."""

import sys
from pathlib import Path

import polars

from benchmarks.peers.usage import DAILY, EVENT, MEASURES, QUARTER_HOUR, QUARTER_HOURLY, stretches

IDENTITY = ("customer_id", "event_id")
BUCKET = "response_time_buckets"


def main(landed: Path, target: Path) -> None:
    """Read, keep the newest of each event, group twice, write."""
    target.mkdir(parents=True)
    events = polars.read_parquet(landed, columns=list(EVENT))
    comes_again = polars.struct(IDENTITY).is_duplicated()
    again = events.filter(comes_again)
    # Nearly every event came once: only the others are sorted.
    newest = again.sort("received_at", *EVENT, nulls_last=False).unique(IDENTITY, keep="last")
    events = polars.concat([events.filter(~comes_again), newest])
    milliseconds = polars.col("response_time_ms")
    table = list(stretches())
    names = polars.col("model_used").str.strip_chars()
    quarter_hours = (
        events.lazy()
        .with_columns(
            model=polars.when(names == "").then(None).otherwise(names).fill_null("unknown"),
            bucket_start=polars.col("occurred_at").dt.truncate("15m"),
            stretch=milliseconds.cut(
                [stretch.from_ms for stretch in table[1:]],
                labels=[str(number) for number in range(len(table))],
                left_closed=True,
            ).to_physical(),
        )
        .with_columns(
            bucket=_of_stretch([stretch.bucket for stretch in table])
            + (milliseconds - _of_stretch([stretch.from_ms for stretch in table]))
            // _of_stretch([stretch.width for stretch in table])
        )
        .group_by(QUARTER_HOUR)
        .agg(
            message_count=polars.len().cast(polars.Int64),
            input_tokens=polars.col("input_tokens").sum(),
            output_tokens=polars.col("output_tokens").sum(),
            total_tokens=(polars.col("input_tokens") + polars.col("output_tokens")).sum(),
            response_time_ms_sum=milliseconds.sum(),
            response_time_count=milliseconds.count().cast(polars.Int64),
            timed_output_tokens=polars.col("output_tokens").filter(milliseconds > 0).sum(),
            **{BUCKET: polars.col("bucket").drop_nulls().sort()},
        )
        .with_columns(occurred_date=polars.col("bucket_start").dt.date())
        .sort("customer_id", "bucket_start")
        .collect()
    )
    quarter_hours.write_parquet(target / f"{QUARTER_HOURLY}.parquet")
    for name, groups in DAILY.items():
        (
            quarter_hours.group_by(*groups, "occurred_date")
            .agg(polars.col(MEASURES).sum())
            .sort(*groups, "occurred_date")
            .write_parquet(target / f"{name}.parquet")
        )


def _of_stretch(values: list[int]) -> polars.Expr:
    return polars.lit(polars.Series(values)).gather(polars.col("stretch"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
