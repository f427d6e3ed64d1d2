"""What cbir does, from Python: one public function a file, which has the function's name.

Each takes names and paths, finds the pieces of the rooms, joins them, and returns plain results; the command line
prints them. `cbir.NAME` is the function of the file NAME. Heavy imports happen inside the functions.
"""
