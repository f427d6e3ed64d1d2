"""Pictures of several requests are encoded together, when they meet: a batch takes less time than one after the other.

In: one picture's pixels, from many threads. Out: its feature. While a batch is encoded, those that come meanwhile make
the next one; nobody waits for others to come.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

#: Pictures in a batch at the most.
MOST = 32


class Encoding:
    """An encoder that threads share.

    Parameters
    ----------
    encode : callable
        Of pixels, (n, h, w, c) uint8, makes features, (n, d) float32; called in one thread alone.
    """

    def __init__(self, encode: Callable[[np.ndarray], np.ndarray]) -> None:
        self._encode = encode
        self._asked: queue.SimpleQueue[tuple[np.ndarray, Future[np.ndarray]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="cbir-encoding", daemon=True)
        self._thread.start()

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature, (d,) float32, of one picture's pixels, (h, w, c) uint8."""
        answer: Future[np.ndarray] = Future()
        self._asked.put((pixels, answer))
        return answer.result()

    def close(self) -> None:
        """End the thread, after what was asked."""
        self._asked.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (first := self._asked.get()) is not None:
            batch, ended = [first], False
            while len(batch) < MOST and not ended:
                try:
                    following = self._asked.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    ended = True
                else:
                    batch.append(following)
            try:
                features = self._encode(np.stack([pixels for pixels, _ in batch]))
            except BaseException as error:  # noqa: BLE001 - raised to those who asked
                for _, answer in batch:
                    answer.set_exception(error)
            else:
                for (_, answer), feature in zip(batch, features, strict=True):
                    answer.set_result(feature)
            if ended:
                return
