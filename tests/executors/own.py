"""Executors as users write them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from covalent_jupyter.executors.objects import AsyncBaseExecutor, BaseExecutor


class Plain(BaseExecutor):
    """Calls the function where it is."""

    def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        return function(*args, **kwargs)


class Patient(BaseExecutor):
    """Hands the function to a process of its own, and ends that when asked to."""

    def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        here, there = multiprocessing.get_context("fork").Pipe()
        process = multiprocessing.get_context("fork").Process(target=_call, args=(there, function, args, kwargs))
        process.start()
        there.close()
        self.set_job_handle(process.pid)
        try:
            good, value = here.recv()
        except EOFError:
            raise RuntimeError("the process ended") from None
        finally:
            process.join()
        if not good:
            raise value
        return value

    def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        os.kill(job_handle, signal.SIGKILL)
        return True


def _call(pipe: Any, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any]) -> None:
    try:
        pipe.send((True, function(*args, **kwargs)))
    except Exception as error:
        pipe.send((False, error))


class Waiting(AsyncBaseExecutor):
    """Calls the function in a thread and waits for it."""

    async def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)


class Remote(AsyncBaseExecutor):
    """Waits for something elsewhere that never answers, until it is cancelled."""

    def __init__(self, notes: str) -> None:
        super().__init__(poll_freq=1)
        self.notes = notes

    async def setup(self, task_metadata: dict[str, Any]) -> None:
        self._note("setup")

    async def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        await self.set_job_handle("job 7")
        self._note("run")
        while not await self.get_cancel_requested():
            await asyncio.sleep(0.01)
        raise RuntimeError("it was cancelled")

    async def cancel(self, task_metadata: dict[str, Any], job_handle: Any) -> bool:
        self._note(f"cancel {job_handle}")
        return True

    async def teardown(self, task_metadata: dict[str, Any]) -> None:
        self._note("teardown")

    def _note(self, text: str) -> None:
        with Path(self.notes).open("a") as file:
            file.write(f"{text}\n")


class Stubborn(BaseExecutor):
    """Waits elsewhere and cannot be cancelled."""

    def run(
        self, function: Callable[..., Any], args: list[Any], kwargs: dict[str, Any], task_metadata: dict[str, Any]
    ) -> Any:
        time.sleep(60)
