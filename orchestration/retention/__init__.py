"""Deletion: what is past its retention, and everything of a customer who asks for it.

`policy` says how long each customer's data is kept, `plan` what is past that, `lake_deletion`
takes it out of the lake; the marts follow by rebuilding the dates touched, and `warehouse_file`
and `leftovers` see to it that no deleted byte stays in a file.
"""
