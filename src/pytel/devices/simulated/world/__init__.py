"""The hardware of the simulated observatory: mount, camera, focuser, filters, roof, cover, weather and the sky above.

One `world.World` stands for all of it. Nothing in it ticks: the condition of each device follows from the last command
and the site time, so that a killed world goes on after a restart as if it had run all the while. `server` runs a world
as a process of its own, `client` reaches one, here or there. The simulated drivers talk to it as others talk to a
serial port; `truth.jsonl`, which it writes beside its state, is for tests alone.
"""
