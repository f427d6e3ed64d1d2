import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cbir.core import interruptible as module
from cbir.core.interruptible import abandonable, interruptible


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_what_a_call_returns_or_raises():
    assert interruptible(lambda: 7) == 7
    assert interruptible(lambda: None) is None
    with pytest.raises(ZeroDivisionError) as raised:
        interruptible(lambda: 1 / 0)
    assert raised.traceback[-1].frame.code.name == "<lambda>"


def test_other_threads_call_it_themselves():
    with ThreadPoolExecutor(1) as pool:
        called_in = pool.submit(interruptible, threading.current_thread).result()
        assert called_in is pool.submit(threading.current_thread).result()
    assert interruptible(threading.current_thread) is not threading.main_thread()


def test_a_call_that_can_stop_is_waited_for():
    stopping, ended = threading.Event(), []

    def call() -> None:
        threading.Timer(0.1, interrupt).start()
        stopping.wait(60)
        ended.append(1)

    with pytest.raises(KeyboardInterrupt):
        interruptible(call, stopping.set)
    assert ended == [1]


def test_a_call_that_cannot_stop_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "GRACE", 0.1)
    released = threading.Event()

    def call() -> None:
        threading.Timer(0.1, interrupt).start()
        released.wait(60)

    with pytest.raises(KeyboardInterrupt):
        interruptible(call)
    released.set()


def test_a_process_ends_although_a_call_does_not():
    program = """
import time
from cbir.core import interruptible as module
module.GRACE = 0.1
print("ready", flush=True)
module.interruptible(lambda: time.sleep(600))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in process.communicate(timeout=30)[1]
    finally:
        process.kill()
        process.wait()


def test_a_call_of_another_thread_is_left_alone_when_that_is_asked_for():
    stop, ended = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(abandonable, lambda: 7, stop).result() == 7
        with pytest.raises(ZeroDivisionError):
            pool.submit(abandonable, lambda: 1 / 0, stop).result()
        hung = pool.submit(abandonable, lambda: ended.wait(60), stop)
        assert not hung.done()
        stop.set()
        with pytest.raises(TimeoutError):
            hung.result(5)
    ended.set()
