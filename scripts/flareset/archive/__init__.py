"""JSOC over HTTP: connections, transfers, its CGI, exports, tars.

Nothing here knows of a campaign's events or of the draw.
"""
