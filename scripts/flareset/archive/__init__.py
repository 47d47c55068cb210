"""JSOC over HTTP: connections, transfers, its CGI, exports, tars; pins of other servers' answers.

Nothing here knows a campaign's events or the draw.
"""
