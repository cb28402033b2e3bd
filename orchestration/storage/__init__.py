"""DuckDB, SQL's names, durable files, the writer's lock, the ledger. Imports settings."""
