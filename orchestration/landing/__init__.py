"""From files that anybody dropped to typed rows in the lake. Imports lake and below.

`files` finds and reads what was dropped, `checks` turns the contract's rules into SQL, `land` does
one file from start to ledger entry, `leftovers` clears what a run that was cut off left.
"""
