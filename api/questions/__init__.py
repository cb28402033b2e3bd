"""Any question about one customer's measures, from memory or by one generated query.

Imports cache, queries and below.
"""
