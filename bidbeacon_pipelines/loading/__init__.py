"""The load of a report's file: check, stage, judge, merge; quarantine and restatements."""
