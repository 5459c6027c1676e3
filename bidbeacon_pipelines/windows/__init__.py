"""Windows: each is one account-local day of one report of one account."""
