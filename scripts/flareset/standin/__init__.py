"""A stand-in for JSOC's archive: speaks its protocol over HTTP and makes frames from their names.

It answers as HEK does, too, with flares that are made up.

Nothing in it is observed: it is for rehearsals and tests.
"""
