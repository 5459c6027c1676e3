"""Windows: each is one account-local day of one dataset of one account."""
