"""Images by id."""

from __future__ import annotations

from pytel.base.units import Bytes
from pytel.interfaces.images import ImageRef
from pytel.module import Capabilities, Interface, Role, State, Struct, rpc


class ImageStoreState(State, frozen=True, kw_only=True):
    """How full the store is."""

    images: int
    used: Bytes
    capacity: Bytes


class StoreDirectory(Struct, frozen=True, kw_only=True):
    """Where the store keeps its files. Whoever finds a file `nonce` with this text there is on the same host."""

    path: str
    nonce: str


class ImageStoreCapabilities(Capabilities, frozen=True, kw_only=True):
    """Where the store is found over HTTP: `GET urls[0]/images/{id}`. Empty where it serves none."""

    urls: list[str]


class StoreAccess(Struct, frozen=True, kw_only=True):
    """How modules on other hosts reach the store: its address and a token, which is good until the store restarts.

    `certificate` (PEM) is what it shows where it speaks TLS.
    """

    url: str
    token: str
    certificate: str | None = None


class ImageStore(Interface, state=ImageStoreState, capabilities=ImageStoreCapabilities):
    """Keeps images, each written once, under an id; bounded in size. Never loses one that nobody has archived."""

    @rpc(role=Role.VIEWER)
    async def shared_directory(self) -> StoreDirectory:
        """Tell where the files are, for modules on the same host."""
        raise NotImplementedError

    @rpc(role=Role.MODULE)
    async def access(self) -> StoreAccess:
        """Tell how to reach the store over HTTP. Raises `NotReady` when it serves none."""
        raise NotImplementedError

    @rpc(role=Role.MODULE)
    async def commit(self, upload: str, sha256: str, size: Bytes) -> ImageRef:
        """Take over the file `incoming/<upload>`. Committing the same upload twice gives the same image.

        Raises `NotFound`, `ChecksumError`, `StorageFull`.
        """
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def list_images(self, unreleased: bool = False) -> list[ImageRef]:
        """List what is in the store, oldest first; with `unreleased` only what is not archived yet."""
        raise NotImplementedError

    @rpc(role=Role.MODULE)
    async def release(self, id: str) -> None:  # noqa: A002 - the word of the protocol
        """Tell that the image is archived: it may go when room is needed."""
        raise NotImplementedError
