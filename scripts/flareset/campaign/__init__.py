"""A campaign: its config, its events, its jobs, and what makes a job stale.

Read by every process that Snakemake starts, so nothing heavy is imported at the top. No network.
"""
