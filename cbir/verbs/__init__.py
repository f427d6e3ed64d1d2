"""What cbir does, from Python: one public function in each file, with the file's name.

`cbir.ingest` is the function of `ingest.py`; a new file is a new function of `cbir`. Each takes names and paths and
returns a plain result; the command line prints it. Heavy imports are inside the functions.
"""
