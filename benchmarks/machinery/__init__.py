"""What runs the rows: processes, clocks, sample messages, the report and the command line."""
