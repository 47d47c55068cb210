"""The store of verified files, hard links into it, and its unused files.

Nothing here knows where a file came from.
"""
