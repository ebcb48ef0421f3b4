# mypy: ignore-errors
"""The peer of the image benchmark: pyobs-core's image path over its HTTP file cache, without its bus; its own python.

`python images_pyobs.py ROLE PORT`. Orders and answers as in `benchmarks/images_modules.py`.
"""

import asyncio
import json
import logging
import sys
import time
import zlib

import numpy as np
from pyobs.images import Image
from pyobs.vfs import VirtualFileSystem

logging.basicConfig(level=logging.ERROR)


def tell(**content):
    """Answer."""
    print(json.dumps(content), flush=True)


async def orders():
    """Orders on stdin, as lists of words."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        yield line


async def main(role, port):
    """Run a role until stdin ends."""
    url = f"http://127.0.0.1:{port}/"
    vfs = VirtualFileSystem(roots={"cache": {"class": "pyobs.vfs.HttpFile", "upload": url, "download": url}})
    if role == "store":
        from pyobs.modules.utils import HttpFileCache

        await HttpFileCache(port=int(port)).open()
    frame = np.random.default_rng(1).normal(1000, 12, (4096, 4096)).astype(np.uint16)
    number = 0
    tell(ready=role)
    async for order in orders():
        if order[0] == "take":
            number += 1
            frame[0, 0] = number
            pixels = frame.copy()
            crc = zlib.crc32(pixels)
            read = time.time()
            image = Image(pixels)
            image.header["TREAD"] = read
            image.header["EXPTIME"] = 0.0
            name = f"/cache/bench-{number:04d}.fits"
            await vfs.write_image(name, image)
            tell(id=name, read=read, crc=crc)
        elif order[0] == "read":
            image = await vfs.read_image(order[1])
            done = time.time()
            values = np.ascontiguousarray(image.data.astype(np.uint16))
            tell(id=order[1], done=done, crc=zlib.crc32(values))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
