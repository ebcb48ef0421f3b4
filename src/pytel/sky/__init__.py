"""The sky as numbers: which stars are where, how high they stand, when it is dark and how bright the sky is.

Stands on `pytel.base`, numpy and ERFA alone; nothing here knows a device. Angles are degrees, places ICRS, instants
Unix seconds (UTC). Ask the files of the room: `catalogue` (stars), `coordinates` (frames, angles, text), `almanac`
(Sun, Moon, nights), `visibility` (when a target is up), `brightness` (sky background).
"""
