"""Ads accounts and accounts: sync, names, pause, cadence, and a record of changes."""
