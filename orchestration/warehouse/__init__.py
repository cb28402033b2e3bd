"""dbt, roll-up, hand-over, recount, Spark. Imports lake and below, nothing of landing."""
