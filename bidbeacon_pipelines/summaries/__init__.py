"""Account days: what all datasets say about one day of one account."""
