"""The probe: compares Amazon's answers for an account with the contract.

The contract is what BidBeacon expects of Amazon's API, with overrides stored in the database.
`docs/how-to/probe-an-account.md` describes the probe for users. The probe uses the product's own
client and readers. It needs the database, since it shares rate limits, the gate for report creation
and the contract with all other processes.
"""
