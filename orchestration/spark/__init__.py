"""Spark as the engine: what a run hands to it and brings back, and a cluster on this machine.

The SQL that knows Spark is in `dbt_project/macros/engines/`.
"""
