"""How the words and units of another system stand for ours: tables that a person writes in YAML, and nothing that runs.

A table names what is made and says for each name where it comes from. The same tables serve both ways, for calls that
go out to a foreign system and for calls that come in from one.
"""
