"""From the platform's own PostgreSQL to files that landing takes like any others.

`url` keeps the password out of every message, `columns` and `catalogue` hold the source's tables
against the contract, `cursor` decides what is still to be read, `pull` reads it in chunks.
Importing this package loads no driver: without a source database it costs nothing.
"""
