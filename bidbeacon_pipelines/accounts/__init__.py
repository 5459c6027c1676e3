"""Ads accounts and their accounts (one per country): sync, names, pauses and cadences."""
