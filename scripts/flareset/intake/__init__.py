"""Flare lists: read whatever people have, clean it by named rules, merge, match, select.

Lists in, `events.csv`, `flares.csv`, `changes.csv` and `intake.md` out, every change on record.
"""
