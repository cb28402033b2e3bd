"""The source database, against a real PostgreSQL server that the tests start."""
