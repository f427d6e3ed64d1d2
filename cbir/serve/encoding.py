"""Pictures of several requests are encoded together, when they meet: a batch takes less time than one after the other.

In: one picture's pixels, from many threads. Out: its feature. While a batch is encoded, those that come meanwhile make
the next one; nobody waits for others to come.
"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

import numpy as np

from cbir.serve.gate import BusyError

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
    encoded : callable
        Is told of each batch: how many pictures, and the seconds that they took.
    """

    def __init__(
        self,
        encode: Callable[[np.ndarray], np.ndarray],
        encoded: Callable[[int, float], object] = lambda pictures, seconds: None,  # noqa: ARG005
    ) -> None:
        self._encode = encode
        self._encoded = encoded
        self._asking = threading.Lock()
        self._closed = False
        self._asked: queue.SimpleQueue[tuple[np.ndarray, Future[np.ndarray]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="cbir-encoding", daemon=True)
        self._thread.start()

    def encode(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature, (d,) float32, of one picture's pixels, (h, w, c) uint8; BusyError after `close`."""
        answer: Future[np.ndarray] = Future()
        with self._asking:
            if self._closed:
                raise BusyError("the encoder is not used any more; ask again in a moment")
            self._asked.put((pixels, answer))
        return answer.result()

    def close(self) -> None:
        """End the thread, after what was asked."""
        with self._asking:
            self._closed = True
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
            began = time.perf_counter()
            try:
                features = self._encode(np.stack([pixels for pixels, _ in batch]))
            except BaseException as error:  # noqa: BLE001 - raised to those who asked
                for _, answer in batch:
                    answer.set_exception(error)
            else:
                self._encoded(len(batch), time.perf_counter() - began)
                for (_, answer), feature in zip(batch, features, strict=True):
                    answer.set_result(feature)
            if ended:
                return
