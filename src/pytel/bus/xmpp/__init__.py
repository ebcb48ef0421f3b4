"""The bus over XMPP: an observatory whose modules meet at a real server, ejabberd or Prosody.

Calls travel as JSON-RPC in IQs (XEP-0335) or as XEP-0009, states and events by PEP (XEP-0060, 0163), presence tells who
is there, and capabilities (XEP-0115) what they are.
"""
