"""Answers and customers' rows in memory. Imports queries and below."""
