"""Compare what Amazon answers with what the product relies on; `docs/probe.md` says how it is used.

The product's own client asks and its own readers read the files. It shares limits, gate and
contract with all other processes, so it needs the database.
"""
