"""Deletion by age, and the search that proves an erasure. Imports publication and below.

`policy` of the lake says how long each customer's data is kept, `deletion_plan` what is past that,
`deletion` takes it out of the lake; the marts follow by rebuilding the dates touched, and
`leftovers` and the warehouse's `warehouse_file` see to it that no deleted byte stays in a file.
"""
