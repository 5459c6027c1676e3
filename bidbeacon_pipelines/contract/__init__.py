"""The contract: what was set or learned of Amazon, in place of the registry of datasets."""
