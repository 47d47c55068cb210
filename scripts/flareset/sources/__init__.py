"""Where images are had from: a saved page, a RequestID, an export.

What an event needs of the archive comes in, rows of a listing come out.
"""
