"""The measures, dimensions and metrics that `dbt_project/metrics.yml` declares. No SQL."""
