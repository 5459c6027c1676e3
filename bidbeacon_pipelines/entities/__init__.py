"""Campaigns, ad groups, ads, targets and portfolios: exported, read and stored."""
