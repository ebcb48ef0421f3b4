"""`pytel devices`: find devices and try them."""
