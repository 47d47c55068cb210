"""The tables that pass from stage to stage: their columns; functions that read and write them.

No decision of the workflow is made here.
"""
