"""Make bike_sharing.parquet from UCI's hour.csv: python -m tidegate.demo.make_bike_sharing HOUR_CSV [OUT]."""

import sys
from pathlib import Path

import polars as pl

from tidegate.demo import demo_data

COLUMNS = {
    "cnt": pl.Int16,
    "temp": pl.Float32,
    "hum": pl.Float32,
    "windspeed": pl.Float32,
    "weathersit": pl.Int8,
    "holiday": pl.Int8,
    "workingday": pl.Int8,
}


def make(source: Path) -> pl.DataFrame:
    """The demo's table: dteday (1/31/2011 or 2011-01-31) and hr joined to `when`, and the columns worth keeping."""
    table = pl.read_csv(source)
    day = pl.coalesce(pl.col("dteday").str.to_date("%m/%d/%Y", strict=False), pl.col("dteday").str.to_date("%Y-%m-%d", strict=False))
    when = day.cast(pl.Datetime("ms")) + pl.duration(hours="hr")
    return table.select(when.alias("when"), *(pl.col(name).cast(kind) for name, kind in COLUMNS.items()))


def main(source: str, out: str | None = None) -> None:
    """Write the file; the bytes depend on the version of polars, the values do not."""
    make(Path(source)).write_parquet(out or demo_data(), compression="zstd", compression_level=19, statistics=False)


if __name__ == "__main__":
    main(*sys.argv[1:3])
