"""Debian packages: locked by name and hash, fetched, turned into a root file system."""
