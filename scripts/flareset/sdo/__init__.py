"""SDO's data as JSOC spells them: times, series, recordsets, quality, geometry, processing.

Pure functions and plain data; no file, no network, no clock. Imports `errors` alone.
"""
