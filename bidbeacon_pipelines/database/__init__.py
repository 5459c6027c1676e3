"""The product's database: its address, engines, the version of its tables, locks and clock."""
