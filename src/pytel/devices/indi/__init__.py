"""Devices behind INDI servers: one client for each server, which all drivers of a process share.

Source: INDI protocol 1.7 (E. C. Downey, 2007), and indiserver's shared-memory BLOBs on its Unix socket.
"""
