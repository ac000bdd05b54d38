"""Work that takes long or holds the interpreter's lock: it runs in a few processes, never in the API's own threads.

A task waits in a bounded queue, has limits of time, memory and result, and ends when its client leaves.
"""

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Self, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from api.http.errors import ServiceBusy, TooMuchWork
from api.http.limits import InFlight
from api.services.compute_process import ComputeProcess, Outcome, ProcessDied, Task
from core.settings import Settings

IDLE_SECONDS = 60.0
"""Seconds without a task after which a process ends."""
MAX_THREADS = 8
"""Threads of `in_thread`."""
CHUNK_BYTES = 2**18
MAX_UNSENT_ANSWERS = 16
"""How many times `answer_bytes` may be on disk in answers that clients still read."""

MAX_VALUE_BYTES = 2**22
"""Maximum size of a pickled result: it is loaded in the API, which waits meanwhile."""

Result = TypeVar("Result")

log = structlog.get_logger("api")


@dataclass(frozen=True, slots=True)
class ComputeLimits:
    """The number of processes and of waiting tasks, and what one task may use."""

    processes: int
    waiting: int
    seconds: float
    memory_bytes: int
    answer_bytes: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the limits of these settings."""
        return cls(
            processes=settings.compute_processes,
            waiting=settings.compute_queue,
            seconds=settings.compute_seconds,
            memory_bytes=settings.compute_memory_bytes,
            answer_bytes=settings.max_answer_bytes,
        )


class ComputePool:
    """Processes for heavy work. Use it from the event loop of the API only.

    Parameters
    ----------
    limits
        The bounds of the pool and of a task.
    folder
        Where results are written, in files without a name, until they are read.
    """

    def __init__(self, limits: ComputeLimits, folder: Path) -> None:
        self._limits = limits
        self._folder = folder
        self._in_progress = 0
        self._unsent = InFlight(MAX_UNSENT_ANSWERS * limits.answer_bytes)
        self._slots = asyncio.Semaphore(limits.processes)
        self._threads = ThreadPoolExecutor(limits.processes, "compute")  # one waits for each process
        self._thread_limiter = CapacityLimiter(MAX_THREADS)
        self._idle: list[ComputeProcess] = []
        self._idle_timer: asyncio.TimerHandle | None = None
        self._draining = asyncio.Event()

    @property
    def in_progress(self) -> int:
        """How many tasks run or wait."""
        return self._in_progress

    async def in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return `function(*arguments)`, run in one of a few threads that light routes do not need.

        It is for the light parts of heavy requests: queries of the database, and small computations.
        """
        return await to_thread.run_sync(function, *arguments, limiter=self._thread_limiter)

    async def run(self, request: Request, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return `function(*arguments)`, computed in a process; `function` is one of a module's top level.

        The body of the request must have been read. Function, arguments and result are pickled; keep the result small.
        An exception of the function is raised here, with its class, arguments and attributes.

        Raises
        ------
        ServiceBusy
            The queue is full, or the service stops.
        TooMuchWork
            The task takes more time or memory than allowed, or its result is larger than 4 MB.
        ClientDisconnect
            The client has left; the task has ended.
        """
        task = Task(function, arguments, MAX_VALUE_BYTES, streamed=False)
        file, _ = await self._complete(request, task)
        with file:
            result: Result = pickle.load(file)  # noqa: S301 - of our own process
        return result

    async def respond(
        self,
        request: Request,
        function: Callable[..., Iterable[bytes]],
        *arguments: Any,
        media_type: str = "application/json",
    ) -> Response:
        """Return the pieces of bytes that `function(*arguments)` returns as a response. Raises as `run`.

        They are collected in a file and sent from there, so that a client that reads slowly keeps no process. Raise
        `ServiceBusy` for an answer that would be larger than what it leaves free of the disk, too.
        """
        task = Task(function, arguments, self._limits.answer_bytes, streamed=True)
        file, size = await self._complete(request, task)
        if size <= CHUNK_BYTES:
            with file:
                return Response(file.read(), media_type=media_type)
        if not self._unsent.admits(size):
            file.close()
            raise ServiceBusy
        headers = {"Content-Length": str(size)}
        return StreamingResponse(self._pieces(file, size), media_type=media_type, headers=headers)

    def drain(self) -> None:
        """Refuse new tasks and those that wait, since the service stops; those that run may end."""
        self._draining.set()

    async def close(self) -> None:
        """End all processes. No task may be in progress."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._end_idle()
        self._threads.shutdown(wait=False)

    async def _complete(self, request: Request, task: Task) -> tuple[IO[bytes], int]:
        """Return the result file of a task and its size; end the task when its client leaves."""
        if self._in_progress >= self._limits.processes + self._limits.waiting:
            raise ServiceBusy
        self._in_progress += 1
        work = asyncio.create_task(self._run_in_turn(task))
        departure = asyncio.create_task(_departure(request))
        try:
            await asyncio.wait({work, departure}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            await _end(departure)
            await _end(work)
            self._in_progress -= 1

    async def _run_in_turn(self, task: Task) -> tuple[IO[bytes], int]:
        file = TemporaryFile(dir=self._folder)  # noqa: SIM115 - the caller closes it
        try:
            async with self._slot():
                outcome = await self._run_in_process(task, file)
            if outcome.error is not None:
                raise outcome.error
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file, outcome.bytes

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Wait for the turn of a task. Raise `ServiceBusy` after the time that a task may take, or when draining."""
        turn, draining = asyncio.create_task(self._slots.acquire()), asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait({turn, draining}, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if self._draining.is_set() or not turn.done():
                raise ServiceBusy
            yield
        finally:
            await _end(draining)
            await _end(turn)
            if turn.done() and not turn.cancelled():
                self._slots.release()

    async def _run_in_process(self, task: Task, file: IO[bytes]) -> Outcome:
        """Run a task in an idle process, or in a new one. A process that did not complete its task is ended."""
        process = await self._idle_process()
        reusable = False
        try:
            outcome = await self._call(process, process.run, task, file)
            reusable = not outcome.worn
        except ProcessDied as error:
            log.warning("a compute process ended during a task", how=str(error), function=task.function.__qualname__)
            raise TooMuchWork.crash(str(error)) from None
        finally:
            if reusable:
                self._idle.append(process)
                self._start_idle_timer()
            else:
                process.close()
        return outcome

    async def _idle_process(self) -> ComputeProcess:
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            process.close()
        try:
            return await self._new_process()
        except (OSError, ProcessDied) as error:
            log.exception("cannot start a compute process", reason=str(error))
            raise ServiceBusy from None

    async def _new_process(self) -> ComputeProcess:
        process = ComputeProcess(self._limits.memory_bytes)
        try:
            await self._call(process, process.wait_until_ready)
        except BaseException:
            process.close()
            raise
        return process

    async def _call(self, process: ComputeProcess, call: Callable[..., Result], *arguments: Any) -> Result:
        """Wait in a thread for a call of a process; kill the process when time is over or on cancellation."""
        done = asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)
        try:
            await asyncio.wait({done}, timeout=self._limits.seconds)
            if not done.done():
                raise TooMuchWork.time(self._limits.seconds)
            return done.result()
        finally:
            if not done.done():
                process.kill()
                await asyncio.wait({done})
                done.exception()  # so that it counts as retrieved

    def _start_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        self._idle_timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end_idle)

    def _end_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _pieces(self, file: IO[bytes], size: int) -> AsyncIterator[bytes]:
        """Yield the content of a result file, and close it."""
        self._unsent.bytes += size
        try:
            with file:
                while piece := file.read(CHUNK_BYTES):
                    yield piece
        finally:
            self._unsent.bytes -= size


async def _departure(request: Request) -> None:
    """Wait until the client has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _end(task: "asyncio.Task[Any]") -> None:
    """Cancel a task, unless it has ended, and wait for its end."""
    task.cancel()
    await asyncio.wait({task})
