"""The bus over HTTP: an observatory without a message server, in which every module answers for itself.

Each module serves JSON-RPC 2.0 (`POST /rpc`), its states and events as server-sent events (`GET /events`), and
`/state`, `/card`, `/health`. Modules hold one event stream to each other: while it is open, the other is present.
"""
