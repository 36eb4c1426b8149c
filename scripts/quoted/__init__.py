"""Re-derives every number that the documents quote from committed data; see scripts/check-numbers."""
