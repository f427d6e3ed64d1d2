"""What every room needs once: errors, progress, atomic files, settings, worker threads.

Nothing here knows about pictures, encoders or Qdrant, and nothing here imports another room.
"""
