"""Two installations that are told the same, one on DuckDB and one on a real Spark cluster."""
