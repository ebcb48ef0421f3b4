-- Federation by list: domains that are not on it are neither called nor heard.
local st = require "util.stanza";

local peers = module:get_option_set("pytel_peers", {});

local function refuse(session)
	session:close({ condition = "policy-violation", text = "This domain speaks with listed domains only" });
	return true;
end

module:hook("s2sin-established", function (event)
	if not peers:contains(event.session.from_host) then return refuse(event.session); end
end, 1000);

module:hook("route/remote", function (event)
	if peers:contains(event.to_host) then return; end
	local stanza = event.stanza;
	if stanza.attr.type ~= "error" and stanza.attr.type ~= "result" then
		module:send(st.error_reply(stanza, "cancel", "not-allowed", "This domain speaks with listed domains only"));
	end
	return true;
end, 1000);
