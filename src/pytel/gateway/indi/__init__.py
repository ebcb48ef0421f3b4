"""pytel as an INDI driver: the devices of the site for KStars, PHD2 and others that speak INDI."""
