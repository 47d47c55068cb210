"""From a list of solar flares to a verified, labelled set of SDO images."""

__version__ = "0.1.0"
