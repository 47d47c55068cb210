"""A stand-in for JSOC's archive: it speaks JSOC's protocol over HTTP, and makes up the images.

It also answers as HEK does, with made-up flares. Nothing in it was observed: the stand-in is for
rehearsals and tests.
"""
