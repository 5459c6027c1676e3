"""The registry of datasets, their tables and partitions."""
