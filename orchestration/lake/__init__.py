"""The lake's files: what counts is what the ledger booked, to the byte."""
