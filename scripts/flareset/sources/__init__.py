"""The sources of images: a saved page, a RequestID, an export, or JSOC's stored files.

A source gets the records that an event wants, and returns rows of a listing: links to files.
"""
