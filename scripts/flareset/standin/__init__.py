"""A stand-in for JSOC's archive: speaks its protocol over HTTP and makes frames from their names.

Nothing in it is observed: it is for rehearsals and tests.
"""
