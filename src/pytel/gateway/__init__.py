"""The door to the whole observatory over HTTP: browsers, scripts and foreign systems come in here."""
