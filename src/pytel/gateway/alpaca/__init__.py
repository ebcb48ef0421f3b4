"""pytel as a server of ASCOM Alpaca: the modules of the site as devices for N.I.N.A. and other clients."""
