"""Report requests: plan, create, poll and load reports, and load days by hand."""
