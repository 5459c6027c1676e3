"""Compare what Amazon answers with the contract that the product is built on; `docs/probe.md` says how it is used.

Needs credentials and no database. `expectations` states the contract, `calls` asks Amazon,
`compare` is pure.
"""
