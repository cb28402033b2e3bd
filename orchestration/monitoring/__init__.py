"""Is all well: status, freshness, problems, alerts. Imports pipeline and below."""
