"""Side-by-side measurements; each module prints a table.

Shared machines are noisy: what is compared runs in turn in one call, each in a
process of its own, and medians and ratios are what to read.
"""
