"""Collections on a Qdrant server: read by its REST, changed through qdrant-client."""
