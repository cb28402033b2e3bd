"""Spark as the engine: what a run hands to it and brings back. Imports storage and below.

The SQL that knows Spark is in `dbt_project/macros/engines/`.
"""
