"""The version of mmest: what has no need of the rest reads it here."""

__version__ = '0.1.0'
