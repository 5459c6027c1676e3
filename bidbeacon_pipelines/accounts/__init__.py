"""Ads accounts and accounts: sync, names, pause, cadence, and who changed what."""
