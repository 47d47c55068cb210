"""The tables that pass from stage to stage: their columns, read and written.

No rule of the workflow is decided here.
"""
