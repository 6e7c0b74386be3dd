"""What is measured: one module for each measurement, found by the name of its rows.

A module has ``ROUNDS``, the default number of rounds, and ``rows()``, which measures. The first row has the name of its
module, with dashes; further rows of the same module add a suffix.
"""
