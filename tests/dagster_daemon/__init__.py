"""The jobs under a real dagster-daemon and webserver."""
