"""What the rows compare cryptoproto with: the obvious way to write the same thing."""
