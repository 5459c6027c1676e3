"""Report requests: planned, created, polled, loaded; and loads by hand."""
