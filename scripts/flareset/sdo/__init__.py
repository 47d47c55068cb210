"""SDO's data in JSOC's notation: times, series, recordsets, quality, geometry, processing.

Pure functions and plain data: no file, no network, no clock. Imports only `errors`.
"""
