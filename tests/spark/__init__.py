"""Two installations that are given the same, one on DuckDB and one on a real Spark cluster."""
