"""Objects below an address, read as an archive's members are.

In: an address such as `s3://bucket/photos`. Out: its objects. Each has a tag that changes with its content, so that
what is stored is not read again.
"""

from collections.abc import Iterator

from cbir.core.objects import ObjectError, read_object, stored_below, unreadable_key
from cbir.ingest.sources.members import ArchiveError, Member, MemberError, Wanted, refuse_size
from cbir.model.picture import MAX_BYTES


class ObjectMembers:
    """Objects below an address; see `cbir.ingest.sources.members.Members`."""

    forward_only = False
    beside = False
    checked = True

    def __init__(self, address: str) -> None:
        self._address = address
        self.problems: list[str] = []

    def listed(self, wanted: Wanted) -> Iterator[Member]:
        """Yield the objects; the first bytes are read of those whose names do not tell what they are."""
        try:
            for each in stored_below(self._address):
                if odd := unreadable_key(each.name):
                    yield Member(each.name, each.size, each.modified, (each.tag,), left_out=odd)
                    continue
                most = wanted(each.name, each.size)
                head = read_object(f"{self._address}/{each.name}", most) if most and each.size else b""
                yield Member(each.name, each.size, each.modified, (each.tag,), head=head)
        except ObjectError as error:
            raise ArchiveError(str(error)) from None

    def read(self, member: Member, most: int = MAX_BYTES) -> bytes:
        """Return an object's content; see `Members.read`."""
        if problem := refuse_size(member.size, member.size, most):
            raise MemberError(problem)
        try:
            return read_object(f"{self._address}/{member.name}")
        except ObjectError as error:
            raise MemberError(f"cannot be read: {error}") from None
