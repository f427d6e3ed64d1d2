"""Messages between a process that lends collections and one that borrows: a JSON object, and bytes behind it.

In and out: a dict, and parts such as arrays in NumPy's own format. Nothing is pickled. Each message is four bytes that
give the length of the JSON, the JSON, and the parts, whose lengths are in it.
"""

import contextlib
import io
import json
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

#: Of this format; another is refused, as it is another cbir's.
FORMAT = 1

#: Bytes of a message at the most.
_MOST = 1 << 31
_BLOCK = 1 << 18
_PARTS = "parts"


class GoneError(Exception):
    """The other end is no longer there, or says something that is no message."""


class Wire:
    """One end of a connection.

    Parameters
    ----------
    connection : socket
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def send(self, message: dict[str, Any], parts: Sequence[bytes] = ()) -> None:
        """Send a message; GoneError if nobody receives it."""
        head = json.dumps({**message, _PARTS: [len(part) for part in parts]}).encode()
        try:
            self._connection.sendall(b"".join([len(head).to_bytes(4, "big"), head, *parts]))
        except OSError as error:
            raise GoneError(str(error)) from None

    def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        """Wait for a message; GoneError if none will come.

        What was received stays if this is interrupted: call it again.
        """
        length = int.from_bytes(self._first(4), "big")
        try:
            message = json.loads(self._first(4 + length)[4:])
            lengths = message.pop(_PARTS)
            if not all(type(each) is int and each >= 0 for each in lengths):
                raise ValueError(_PARTS)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise GoneError(f"no message: {error}") from None
        content = self._first(4 + length + sum(lengths))
        parts, start = [], 4 + length
        for each in lengths:
            parts.append(content[start : start + each])
            start += each
        del self._received[:start]
        return message, parts

    def _first(self, count: int) -> bytes:
        """Return the first bytes of what was received, and wait until there are as many."""
        if count > _MOST:
            raise GoneError(f"a message of {count} bytes")
        while len(self._received) < count:
            try:
                block = self._connection.recv(_BLOCK)
            except OSError as error:
                raise GoneError(str(error)) from None
            if not block:
                raise GoneError("closed")
            self._received += block
        return bytes(memoryview(self._received)[:count])

    def patience(self, seconds: float | None) -> None:
        """Wait no longer than this from now on; None: for ever."""
        self._connection.settimeout(seconds)

    def end(self) -> None:
        """Tell the other end that this one is gone, also if it waits for a message in another thread."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self.end()
        self._connection.close()


def packed(array: "np.ndarray") -> bytes:
    """Return an array in NumPy's format."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def unpacked(part: bytes) -> "np.ndarray":
    """Return the array that `packed` wrote; GoneError if it is none."""
    import numpy as np

    try:
        array = np.load(io.BytesIO(part), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise GoneError(f"no array: {error}") from None
    if not isinstance(array, np.ndarray):
        raise GoneError("no array")
    return array
