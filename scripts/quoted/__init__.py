"""Derives every number that the documents quote from committed data: scripts/check-numbers."""
