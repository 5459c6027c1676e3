"""A report's file on its way into its table: checked, staged, judged, merged; quarantine and restatements."""
