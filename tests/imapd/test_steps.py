"""Long work of a command runs in steps, and ends when its session is cancelled."""

from collections.abc import Generator

import trio

from appliance.imapd.steps import in_steps


class Work:
    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.closed = False

    def run(self) -> Generator[None, None, int]:
        try:
            for _ in range(self.steps):
                yield
            return self.steps
        finally:
            self.closed = True


async def test_others_run_between_steps() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        assert await in_steps(Work(20).run()) == 20
        assert turns >= 15
        nursery.cancel_scope.cancel()


async def test_cancelled_between_steps_the_work_is_closed() -> None:
    work = Work(10**9)
    running = work.run()
    with trio.move_on_after(0.01) as scope:
        await in_steps(running)
    assert scope.cancelled_caught and work.closed
