"""Collections on a Qdrant server, through qdrant-client."""
