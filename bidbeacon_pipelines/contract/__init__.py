"""The contract: overrides of the dataset registry, set by users or learned from Amazon."""
