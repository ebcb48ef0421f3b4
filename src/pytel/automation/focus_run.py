"""One focus run, from the first frame to the frame that proves the focus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pytel.base.threads import in_thread
from pytel.base.units import Millimetres
from pytel.imaging.focus import FocusError, FocusFit
from pytel.imaging.focus_frame import FocusFrame
from pytel.imaging.focus_search import FocusSearch

Take = Callable[[Millimetres], Awaitable[FocusFrame]]
Wait = Callable[[], Awaitable[None]]
_PROOFS = 3
_CLOUDED_PROOFS = 4


async def find_focus(search: FocusSearch, take: Take, wait: Wait) -> FocusFit:
    """Take frames until the focus is known, then one there that must be as sharp as the curve promises.

    `take` moves to a position, takes a frame and measures it; `wait` lets a cloud pass. A frame that breaks the
    promise becomes a point of the curve, and the search goes on; after three such frames it ends. Raises `FocusError`
    when no focus is found or proved, and what `take` raises.
    """
    for _ in range(_PROOFS):
        fit = await _searched(search, take, wait)
        proof = await _proof(search, fit.position, take, wait)
        broken = await in_thread(search.broken_promise, fit, proof)
        if broken is None:
            return fit
        search.add(fit.position, proof)
    raise FocusError(f"the focus did not prove true: {broken}")


async def _searched(search: FocusSearch, take: Take, wait: Wait) -> FocusFit:
    while (position := await in_thread(search.next_position)) is not None:
        search.add(position, await take(position))
        if (await in_thread(search.clouded))[-1]:
            await wait()
    return await in_thread(search.result)


async def _proof(search: FocusSearch, position: Millimetres, take: Take, wait: Wait) -> FocusFrame:
    """A frame at the focus, not through a cloud."""
    for _ in range(_CLOUDED_PROOFS):
        frame = await take(position)
        if not await in_thread(search.is_dimmed, frame):
            return frame
        await wait()
    raise FocusError("a cloud hid the stars before the focus was proved")
