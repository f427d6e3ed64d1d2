"""Several encoders on one source: the same queries, one table, one plot, one line-up.

In: a source and encoders. Out: a `Comparison`. Each encoder fills a collection
of its own, SOURCE-ENCODER, which is searched like any other. What was measured
is stored beside the run and not measured again.
"""
