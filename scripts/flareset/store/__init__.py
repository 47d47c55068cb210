"""The store of verified files, hard links into it, and what in it nobody uses.

Nothing here knows how a file was had.
"""
