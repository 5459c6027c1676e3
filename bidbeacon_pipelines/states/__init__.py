"""The states of windows at an instant: the SQL function `window_states`, and the queries that count and show states."""
