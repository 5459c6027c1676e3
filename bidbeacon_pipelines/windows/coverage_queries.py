"""SQL conditions on windows that Home's queries use, until they read `window_states`."""

# Windows of a new account fall due when it is first seen, those of one with a cadence of its own at
# its next round.
DUE_SINCE = "greatest(w.next_refresh_at, a.first_seen_at, o.next_look_at)"
IS_DUE = "(w.wanted_by IS NOT NULL OR coalesce(w.next_refresh_at <= :now, false))"
IS_OVERDUE = f"""(coalesce({DUE_SINCE} <= :overdue_before, false) AND w.next_refresh_at IS NOT NULL
                  AND NOT a.paused AND o.needs_attention IS NULL AND a.amazon_status <> 'DISABLED')"""
IS_SUSPICIOUS = "(w.suspicious_digest IS NOT NULL)"
REQUEST_IS_LATE = "coalesce(r.status = 'in_flight' AND r.sent_at < {late_if_sent_before}, false)"
