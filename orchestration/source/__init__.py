"""From the platform's own PostgreSQL to files in landing/. Imports landing and below.

`columns` and `catalogue` hold the source's tables against the contract, `cursor` decides what is
still to be read, `pull` reads it in chunks. A password is in no message.
Importing this package loads no driver: without a source database it costs nothing.
"""
