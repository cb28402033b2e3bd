"""The SQL, the metrics, and the one way to run them. Imports snapshots and below."""
