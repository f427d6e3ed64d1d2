"""An ingest on many machines: Ray Data reads and encodes, a Qdrant server stores."""
