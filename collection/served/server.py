"""A Qdrant server: what reads it, and qdrant-client, each made when first needed; and calls that are retried.

In: an address and a key. Out: `reader` for what is read, `client` for what is
changed. Their functions are to be called through `call`: it retries with backoff
and jitter while a fault may be temporary, and raises one `CollectionError` in the
end.
"""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import tenacity

from cbir.collection.errors import CollectionError, UnreadableError
from cbir.collection.served.address import Address
from cbir.collection.served.faults import Fault, fault
from cbir.collection.served.late import SAY_AFTER, Late, ServerWarning
from cbir.collection.served.reader import Reader
from cbir.collection.served.rest import Rest
from cbir.core.errors import first_line
from cbir.core.interruptible import abandonable, interrupts
from cbir.core.muted import muted

if TYPE_CHECKING:
    import httpx
    from qdrant_client import QdrantClient
    from qdrant_client.grpc import PointsStub

P = ParamSpec("P")
T = TypeVar("T")

#: Older versions lack calls that we make.
OLDEST = (1, 15)

#: Seconds to retry the first call: a server that is just starting needs a few.
_FIRST_RETRY = 4.0

#: Seconds to wait for an answer after Ctrl-C.
_TIMEOUT_AFTER_CTRL_C = 2.0


class RefusedError(UnreadableError):
    """A call that the server refused or never answered; `status` is HTTP's, or 0."""

    def __init__(self, found: Fault) -> None:
        super().__init__(found.message)
        self.status = found.status


class Server:
    """A server.

    Parameters
    ----------
    address : Address
    key : str, optional
        Sent in a header; never shown, logged or put into a URL.
    retry_for : float
        Seconds to retry a call while its fault may be temporary.
    timeout : float
        Seconds to wait for one answer.

    Raises
    ------
    CollectionError
        A key that cannot be sent in a header. The message does not repeat it.
    """

    def __init__(
        self, address: Address, key: str | None = None, *, retry_for: float = 60.0, timeout: float = 30.0
    ) -> None:
        key = (key or "").strip() or None
        if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
            raise CollectionError("QDRANT_API_KEY contains characters that a key cannot have; set it again")
        self.address = address
        self.location = address.url
        self.retry_for = retry_for
        self.timeout = timeout
        self._key = key
        #: Held for as long as the server is greeted, or a client made.
        self._greeting = threading.Lock()
        #: Held for moments only: whoever holds it waits neither for the server nor for another lock.
        self._lock = threading.Lock()
        self._reader = Reader(self._send)
        self._rest: Rest | None = None
        self._client: QdrantClient | None = None
        self._grpc: bool | None = None
        self._stopping = threading.Event()
        self._brief = threading.local()
        # A warning of this outage was given.
        self._warned = False
        # The last call was given up.
        self._unreachable = False
        self._late = Late(address.url)
        self.version: tuple[int, ...] = ()
        interrupts(self)
        if key is not None and not address.secure and not address.local:
            warnings.warn(
                f"the key is sent to {address.host} unencrypted, where others can read it; use https:// or a tunnel",
                ServerWarning,
                stacklevel=2,
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it takes to connect, the key included: another process opens connections of its own."""
        return partial(type(self), retry_for=self.retry_for, timeout=self.timeout), (self.address, self._key)

    @property
    def reader(self) -> Reader:
        """What reads the server; the first time, the server's version is checked."""
        if not self.version:
            with self._made_once():
                self._greet()
        return self._reader

    @property
    def client(self) -> "QdrantClient":
        """qdrant-client, for what is changed; made when first needed, once the server's version is checked."""
        made = self._client
        if made is not None:
            return made
        with self._made_once():
            self._greet()
            made = self._client or self._started(self._new_client)
            with self._lock:
                self._client = made
            return made

    @contextlib.contextmanager
    def _made_once(self) -> Iterator[None]:
        """Hold the lock on what is made once; Ctrl-C also ends it while another thread has it."""
        try:
            with self._greeting:
                yield
        except KeyboardInterrupt:
            self.interrupt()
            raise

    def _greet(self) -> None:
        """Ask for the server's version, unless it is known, and refuse one that is too old."""
        if self.version:
            return
        known = self._retry(
            self._reader.version,
            min(self.retry_for, _FIRST_RETRY),
            "Check the URL, and that the server is running.",
        )
        version = _version(known)
        if version < OLDEST:
            raise CollectionError(
                f"Qdrant at {self.location} is version {known}; cbir needs {'.'.join(map(str, OLDEST))} or newer"
            )
        self.version = version

    def _started(self, make: Callable[[], T]) -> T:
        """Make what connects to the server."""
        try:
            return make()
        except (OSError, ValueError, ImportError) as error:
            raise CollectionError(
                f"cannot connect to {self.location} ({first_line(error)}); "
                "check SSL_CERT_FILE, the URL, and the proxy settings (HTTP_PROXY, ...)"
            ) from error

    def _send(self, method: str, path: str, body: object, timeout: float | None = None) -> Any:
        """Send a request of the reader's; see `Rest.send`."""
        with self._lock:
            rest = self._rest
        if rest is None:
            made = self._started(self._new_rest)
            with self._lock:
                rest = self._rest = self._rest or made
        seconds = self._patience if timeout is None else min(timeout, self._patience)
        self._late.asked(seconds)
        return rest.send(method, path, body, seconds)

    @property
    def _patience(self) -> float:
        """Seconds to wait for an answer."""
        return _TIMEOUT_AFTER_CTRL_C if self._stopping.is_set() else self.timeout

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function of the client, and retry while the fault may be temporary.

        Raises
        ------
        RefusedError
            The server refused, or did not answer within `retry_for` seconds.
        """
        # After a call was given up, those that clean up behind it do not wait as long again.
        seconds = 0.0 if self._unreachable or self._stopping.is_set() else self._most_seconds
        return self._retry(
            lambda: function(*args, **kwargs),
            seconds,
            "Nothing stored is lost. Run the same command again to continue.",
        )

    @contextlib.contextmanager
    def briefly(self, seconds: float) -> Iterator[None]:
        """Retry this thread's calls for no more than some seconds, for what is found out before the work starts."""
        usual = self._most_seconds
        self._brief.seconds = min(seconds, usual)
        try:
            yield
        finally:
            self._brief.seconds = usual

    @property
    def _most_seconds(self) -> float:
        return getattr(self._brief, "seconds", self.retry_for)

    def once(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function without a retry, for what must not be done twice; RefusedError as `call`."""
        return self._retry(lambda: function(*args, **kwargs), 0.0, "")

    def grpc_points(self) -> "PointsStub | None":
        """Return gRPC's calls for points, or None where the server offers only REST."""
        client = self.client
        with self._greeting:
            if self._grpc is None:
                self._grpc = self._offers_grpc()
        return client.grpc_points if self._grpc else None

    def http(self) -> "httpx.Client":
        """Return a plain HTTP client, for files and for requests through a proxy; close it."""
        import httpx

        return httpx.Client(
            base_url=self.location, headers=self._headers(), timeout=self.timeout, mounts=self._mounts()
        )

    def interrupt(self) -> None:
        """End the calls of other threads; from now on, until `close`, calls have a short timeout and no retry.

        Calls that clean up after Ctrl-C still succeed if the server answers at once.
        """
        self._stopping.set()
        self._drop_clients()

    def close(self) -> None:
        """Close the connections; the next call opens them again."""
        self._drop_clients()
        self._stopping.clear()
        self._unreachable = False

    def _drop_clients(self) -> None:
        with self._lock:
            dropped = self._rest, self._client
            self._rest = self._client = None
        for connected in dropped:
            if connected is not None:
                connected.close()

    def _new_rest(self) -> Rest:
        return Rest(self.address, self._headers(), self.http)

    def _headers(self) -> dict[str, str]:
        return {"api-key": self._key} if self._key else {}

    def _new_client(self) -> "QdrantClient":
        from qdrant_client import QdrantClient

        # Ours, above, leaves out servers on this machine.
        with muted(message="Api key is used with an insecure connection"):
            return QdrantClient(
                url=self.location,
                grpc_port=self.address.grpc_port,
                api_key=self._key,
                timeout=max(1, round(self._patience)),
                mounts=self._mounts(),
                check_compatibility=False,
                grpc_options={
                    # By default gRPC waits up to two minutes before it connects to a server that is back.
                    "grpc.initial_reconnect_backoff_ms": 200,
                    "grpc.min_reconnect_backoff_ms": 200,
                    "grpc.max_reconnect_backoff_ms": 2000,
                    "grpc.enable_http_proxy": int(not self.address.local),
                },
            )

    def _mounts(self) -> "dict[str, httpx.BaseTransport | None] | None":
        """Return httpx's setting that sends requests to this machine past any proxy that the environment names."""
        return dict.fromkeys(("http://", "https://", "all://")) if self.address.local else None

    def _offers_grpc(self) -> bool:
        """Tell whether Qdrant listens on the gRPC port, without sending the key there."""
        import grpc
        from qdrant_client.grpc import HealthCheckRequest, QdrantStub

        host = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        target = f"{host}:{self.address.grpc_port}"
        opened = (
            grpc.secure_channel(target, grpc.ssl_channel_credentials())
            if self.address.secure
            else grpc.insecure_channel(target)
        )
        with opened as channel:
            try:
                reply = QdrantStub(channel).HealthCheck(HealthCheckRequest(), timeout=2)  # type: ignore[no-untyped-call]
            except grpc.RpcError:
                return False
        return _version(reply.version) == self.version

    def _answer(self, function: Callable[[], T]) -> T:
        """Call a function once. `interrupt` ends it in each thread; in the main one, a signal does."""
        if threading.current_thread() is threading.main_thread():
            return self._late.call(function)
        return abandonable(function, self._stopping)

    def _retry(self, function: Callable[[], T], seconds: float, advice: str) -> T:
        """Call a function, and for some seconds again while its fault may be temporary; `advice` ends the message."""

        def fault_of(error: BaseException) -> Fault | None:
            return fault(error, self.location, self._key is not None)

        def temporary(error: BaseException) -> bool:
            known = fault_of(error)
            return known is not None and known.temporary

        backoff = tenacity.wait_random_exponential(multiplier=0.2, max=4)

        def wait(state: tenacity.RetryCallState) -> float:
            known = fault_of(_failure(state))
            return max(backoff(state), known.wait if known else 0.0)

        def warn(state: tenacity.RetryCallState) -> None:
            known = fault_of(_failure(state))
            # One warning an outage; none for a short one, nor where the error follows soon.
            long = state.attempt_number > 2 or (state.seconds_since_start or 0.0) > SAY_AFTER
            if known and seconds > _FIRST_RETRY and not self._warned and long:
                self._warned = True
                warnings.warn(f"{known.message}; retrying for {seconds:.0f} s", ServerWarning, stacklevel=2)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(temporary),
            stop=tenacity.stop_any(tenacity.stop_before_delay(seconds), tenacity.stop_when_event_set(self._stopping)),
            wait=wait,
            before_sleep=warn,
            sleep=tenacity.sleep_using_event(self._stopping),
            reraise=True,
        )
        try:
            result = retrying(self._answer, function)
        except KeyboardInterrupt:
            self.interrupt()
            raise
        except Exception as error:
            known = fault_of(error)
            if known is None:
                raise
            if known.temporary and advice:
                self._unreachable = True
                known = replace(known, message=f"{known.message}; gave up after {seconds:.0f} s. {advice}")
            raise RefusedError(known) from error
        self._warned = self._unreachable = False
        return result


def _failure(state: tenacity.RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    return error if error is not None else RuntimeError("no outcome")


def _version(text: str) -> tuple[int, ...]:
    """Read `1.18.3` or `1.19.0-dev`."""
    numbers = text.partition("-")[0].split(".")
    return tuple(int(number) for number in numbers if number.isdecimal())
