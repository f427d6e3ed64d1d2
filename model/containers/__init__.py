"""Picture files taken apart, a module each kind: what a decoder needs of them, and what else they say.

Metadata never reaches a decoder: it is of no use to it, and one odd tag in it ends many a decoder's work.
"""
