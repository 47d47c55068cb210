"""JSOC over HTTP: connections, transfers, its CGI, exports, tars; pins of other servers' answers.

Nothing here knows of a campaign's events or of the draw.
"""
