"""Points are stored and found in Qdrant.

In: ids, feature vectors and payloads. Out: hits. Embedded today (Qdrant Edge),
behind an interface that a served Qdrant fits as well.
"""
