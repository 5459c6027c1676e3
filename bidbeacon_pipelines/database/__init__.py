"""The database of BidBeacon: address, engines, schema version, locks and clock."""
