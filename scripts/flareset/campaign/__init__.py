"""A campaign: its config, its events, its jobs, and what makes a job stale.

Every process that Snakemake starts imports it: no heavy import at the top of a module. No network.
"""
