"""The contract: values set by users or learned from Amazon that override the registry."""
