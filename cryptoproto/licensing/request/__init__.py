"""The license request: its fields, where they come from, and their bytes; and the refusal that may answer it."""
