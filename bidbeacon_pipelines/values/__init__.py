"""Readers of the values in Amazon's files, for reports and entities alike."""
