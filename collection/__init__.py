"""Points are stored in Qdrant and found there.

In: ids, feature vectors and payloads. Out: hits. Two engines answer to one interface:
`embedded` (Qdrant Edge, in this process) and `served` (a Qdrant server).
"""
