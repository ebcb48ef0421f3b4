"""Devices that another observatory control system drives, reached by JSON-RPC 2.0 over HTTP.

A site file says by tables (`pytel.services.mapping`) how each thing that pytel asks of a device is asked of that
system; interlocks and time-outs are those of every other telescope, roof and weather station.
"""
