"""The image store as a module: a directory that the modules of this host share, and that others reach over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pytel.archive.files import ImageDirectory, StoredImage
from pytel.archive.http.access import Authenticator
from pytel.archive.http.server import HttpSettings, ImageServer
from pytel.base import clock
from pytel.base.errors import Conflict, NotReady
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import (
    ImageStore,
    ImageStoreCapabilities,
    ImageStoreState,
    StoreAccess,
    StoreDirectory,
)
from pytel.module.config import ModuleConfig
from pytel.module.handlers import every
from pytel.module.messages import Capabilities
from pytel.services import Module


class DirectoryImageStore(Module, ImageStore):
    """Keeps images in a directory of bounded size until they are archived, and longer while there is room."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Where the images are kept, and how many bytes of them."""

        directory: str | None = None
        """Default: `images` in the module's own folder."""
        capacity: Annotated[int, Meta(ge=2**20, extra_json_schema={"unit": "byte"})] = 20 * 2**30
        keep: Seconds | None = None
        """Archived images go when they are older, even while there is room; default: never for their age."""
        http: HttpSettings | None = HttpSettings()
        """Where it serves HTTP; null: nowhere, and its images stay on this host."""

    config: Config
    _files: ImageDirectory | None = None
    _server: ImageServer | None = None

    async def on_start(self) -> None:
        """Take up what is there, after whatever end."""
        if self._files is None:
            self._files = await in_thread(self._open)
        await self._serve()

    async def _serve(self) -> None:
        """Serve HTTP; a port that is taken is an alarm and tried again, as the modules of this host can go on."""
        # On the virtual clock there is no world outside that could ask.
        if self.config.http is None or self._server is not None or not clock.current().may_be_set:
            return
        server = ImageServer(self.config.http, self.site.state_dir, self._people)
        try:
            await server.start(self.files, str(self.address), self.log, self._tell)
        except Conflict as error:
            self.raise_alarm("http", error)
            return
        self._server = server
        self.spawn(self._stop_at_end(server), "http")
        self.clear_alarm("http")

    def _people(self) -> Sequence[Authenticator]:
        """Those who may call modules, or log in at the gateway, may see images."""
        from pytel.archive.http.people import PeopleAuthenticator
        from pytel.bus.people import FILE, AccountsFile

        bus = self._runtime.bus
        accounts = bus.people or AccountsFile(self.site.state_dir / "gateway" / FILE)
        return [PeopleAuthenticator(accounts, bus.passwords)]

    async def _stop_at_end(self, server: ImageServer) -> None:
        """Stop serving when the module ends, however it ends."""
        try:
            while True:
                await clock.sleep(3600.0)
        finally:
            self._server = None
            await server.stop()

    def capabilities(self) -> list[Capabilities]:
        """Where it is found over HTTP."""
        return [ImageStoreCapabilities(urls=[self._server.url] if self._server else [])]

    def _open(self) -> ImageDirectory:
        path = Path(self.config.directory) if self.config.directory else self.directory / "images"
        return ImageDirectory((self.site.state_dir / path).resolve(), self.config.capacity).open()

    @property
    def files(self) -> ImageDirectory:
        """The directory. Raises `NotReady` before it is open."""
        if self._files is None:
            raise NotReady(f"{self.address} has not opened its directory yet")
        return self._files

    @every(60.0)
    async def report(self) -> None:
        """Tell how full it is, and tidy up uploads that nobody finished."""
        await self._serve()
        await in_thread(self.files.remove_stale_uploads)
        if self.config.keep is not None:
            await in_thread(self.files.remove_older_than, self.config.keep)
        self._tell()

    def _tell(self) -> None:
        files = self.files
        self.publish(ImageStoreState(images=len(files.list()), used=files.used, capacity=files.capacity))

    async def shared_directory(self) -> StoreDirectory:
        """Where the files are."""
        return StoreDirectory(path=str(self.files.path), nonce=self.files.nonce)

    async def access(self) -> StoreAccess:
        """How it is reached over HTTP."""
        if self._server is None:
            raise NotReady(f"{self.address} does not serve HTTP: its site file says so, or its clock is virtual")
        return await in_thread(self._server.access)

    async def commit(self, upload: str, sha256: str, size: int) -> ImageRef:
        """Take over an upload."""
        stored = await in_thread(self.files.commit, upload, sha256, size)
        self._tell()
        return self._ref(stored)

    async def list_images(self, unreleased: bool = False) -> list[ImageRef]:
        """List the images, oldest first."""
        kept = await in_thread(self.files.list)
        return [self._ref(stored) for stored in kept if not (unreleased and stored.released)]

    async def release(self, id: str) -> None:  # noqa: A002 - the word of the protocol
        """Let an image go when room is needed."""
        await in_thread(self.files.release, id)

    def _ref(self, stored: StoredImage) -> ImageRef:
        return ImageRef(id=stored.id, sha256=stored.sha256, size=stored.size, store=str(self.address))
