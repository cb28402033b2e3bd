"""From files that anybody dropped to checked, typed Parquet in the lake.

`streams` says what a row must look like, `files` finds and reads what was dropped, `checks` turns
the rules into SQL, `land` does one file from start to ledger entry.
"""
