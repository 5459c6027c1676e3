"""The product's database: address, engines, schema version, locks and clock."""
