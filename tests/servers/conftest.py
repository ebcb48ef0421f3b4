"""Both servers for every test of this room."""

from __future__ import annotations

import pytest

from pytel.servers import XmppServer
from xmpp_kit import KINDS, xmpp_server


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> XmppServer:
    return xmpp_server(request.param)
