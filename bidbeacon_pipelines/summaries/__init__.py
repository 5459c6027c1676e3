"""Account days: figures of all datasets for the days of an account."""
