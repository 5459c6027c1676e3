"""Readers of the values in Amazon's files of reports and of exported entities."""
