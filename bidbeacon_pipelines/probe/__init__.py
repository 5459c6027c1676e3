"""Comparison of a real account's answers with the product's contract; see `docs/probe.md`.

It uses the product's own client and readers. It needs the database, since it shares limits, gate
and contract with all other processes.
"""
