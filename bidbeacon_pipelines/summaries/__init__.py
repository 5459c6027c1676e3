"""Figures of accounts for their pages: identity, freshness, spend and sales by day."""
