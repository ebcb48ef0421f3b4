"""From the raw frames of a night to calibrated ones.

What happens to one frame (`frame`, `combining`) is a plain function of files, run wherever there is room (`workers`);
what is done and what is left (`ledger`, `choice`) is the module's (`module`).
"""
