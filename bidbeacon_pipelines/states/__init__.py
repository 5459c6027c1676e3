"""What windows are at an instant: the SQL function `window_states`, with what counts and shows states."""
