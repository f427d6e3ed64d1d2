"""Sources are read, encoded in batches and upserted.

In: a named dataset or a folder of pictures. Out: a filled collection and a
report of what was stored, what was there already and what could not be read.
"""
