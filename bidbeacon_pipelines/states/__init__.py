"""The states of windows: the SQL function `window_states`, and queries on it."""
