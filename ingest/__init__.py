"""Pictures of a source are compared with a collection, read, encoded and stored.

In: a named dataset or a folder of pictures. Out: a filled collection and a
report. The files in the order of the data: sources/, sync, read, encode, smooth,
store; shard joins them; sample and learn give the encoder, target the
collection, and job runs everything.
"""
