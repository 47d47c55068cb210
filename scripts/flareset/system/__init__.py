"""Files, locks, endings, progress, retries: what any long-running program needs.

Knows nothing of the Sun and imports only `errors`. An edit here makes no stage stale.
"""
