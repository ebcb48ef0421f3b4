"""Drivers of devices behind an ASCOM Alpaca server."""
