"""Collections in this process: Qdrant Edge, one folder per collection."""
