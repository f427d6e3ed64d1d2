"""How good is it: held-out queries are searched, and the rankings become scores, tables and figures.

In: a collection and queries with labels. Out: stored runs, scores, and comparisons of encoders.
"""
