"""Files, locks, endings, progress, retries: what any long-running program needs.

No word of the Sun, and no import but `errors`. An edit here makes no stage stale.
"""
