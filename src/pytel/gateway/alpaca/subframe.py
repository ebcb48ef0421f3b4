"""Binning and window of a camera of Alpaca, which are set one by one and hold for the exposures that follow."""

from __future__ import annotations

from pytel.gateway.alpaca.device import Device
from pytel.gateway.alpaca.errors import invalid_value
from pytel.gateway.alpaca.members import get, put
from pytel.gateway.alpaca.site import Client
from pytel.interfaces.camera import CameraCapabilities, Window


class SubFramed(Device):
    """Knows which part of the detector is read, as ASCOM counts: in binned pixels from the upper left."""

    kind = "camera"
    binning = 1
    _start = (0, 0)
    _num: tuple[int | None, int | None] = (None, None)
    """Size of the frame in binned pixels, None: as large as the detector."""

    async def detector(self) -> CameraCapabilities:
        """What the module tells of its detector."""
        return await self.site.capabilities(self.address, CameraCapabilities)

    @get("MaxBinX")
    async def max_bin_x(self) -> int:
        """The coarsest."""
        return max((await self.detector()).binnings)

    @get("MaxBinY")
    async def max_bin_y(self) -> int:
        """The coarsest."""
        return max((await self.detector()).binnings)

    @get("BinX")
    def bin_x(self) -> int:
        """Binning of the next exposure."""
        return self.binning

    @get("BinY")
    def bin_y(self) -> int:
        """The same: it is symmetric."""
        return self.binning

    @put("BinX", BinX=int)
    async def set_bin_x(self, client: Client, binning: int) -> None:
        """Bin both axes."""
        binnings = (await self.detector()).binnings
        if binning not in binnings:
            raise invalid_value(f"{self.address} bins by {', '.join(map(str, binnings))}, not by {binning}")
        self.binning = binning

    @put("BinY", BinY=int)
    async def set_bin_y(self, client: Client, binning: int) -> None:
        """Bin both axes."""
        await self.set_bin_x(client, binning)

    @get("StartX")
    def start_x(self) -> int:
        """Binned pixels from the left."""
        return self._start[0]

    @get("StartY")
    def start_y(self) -> int:
        """Binned pixels from the top."""
        return self._start[1]

    @put("StartX", StartX=int)
    def set_start_x(self, client: Client, start: int) -> None:
        """Checked when the exposure begins, with the rest of the window."""
        self._start = (_natural(start, "StartX"), self._start[1])

    @put("StartY", StartY=int)
    def set_start_y(self, client: Client, start: int) -> None:
        """Checked when the exposure begins, with the rest of the window."""
        self._start = (self._start[0], _natural(start, "StartY"))

    @get("NumX")
    async def num_x(self) -> int:
        """Binned pixels."""
        return self._num[0] if self._num[0] is not None else (await self.detector()).width // self.binning

    @get("NumY")
    async def num_y(self) -> int:
        """Binned pixels."""
        return self._num[1] if self._num[1] is not None else (await self.detector()).height // self.binning

    @put("NumX", NumX=int)
    def set_num_x(self, client: Client, number: int) -> None:
        """Checked when the exposure begins, with the rest of the window."""
        self._num = (_natural(number, "NumX"), self._num[1])

    @put("NumY", NumY=int)
    def set_num_y(self, client: Client, number: int) -> None:
        """Checked when the exposure begins, with the rest of the window."""
        self._num = (self._num[0], _natural(number, "NumY"))

    async def window(self) -> Window | None:
        """The part that is read, in unbinned pixels from the lower left, None for all of it.

        Raises `AlpacaError` (invalid value) for one that the detector does not have.
        """
        detector = await self.detector()
        width, height = await self.num_x(), await self.num_y()
        for start, size, most, axis in (
            (self._start[0], width, detector.width // self.binning, "X"),
            (self._start[1], height, detector.height // self.binning, "Y"),
        ):
            if not (size >= 1 and start + size <= most):
                raise invalid_value(
                    f"Start{axis} {start} and Num{axis} {size} leave the {most} pixels that there are when binned by "
                    f"{self.binning}"
                )
        whole = (detector.width // self.binning, detector.height // self.binning)
        if self._start == (0, 0) and (width, height) == whole:
            return None
        size_x, size_y = width * self.binning, height * self.binning
        top = self._start[1] * self.binning
        return Window(x=self._start[0] * self.binning, y=detector.height - top - size_y, width=size_x, height=size_y)


def _natural(value: int, name: str) -> int:
    if value < 0:
        raise invalid_value(f"{name} is at least 0, not {value}")
    return value
