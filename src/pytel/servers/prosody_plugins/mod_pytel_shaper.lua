-- People may send a little per second; modules as much as they like.
local throttle = require "util.throttle";
local filters = require "util.filters";

local people = module:get_option_set("pytel_people", {});
local bytes_per_second = module:get_option_number("pytel_people_bytes_per_second", 16000);
local stanzas_per_second = module:get_option_number("pytel_people_stanzas_per_second", 50);
local burst_seconds = module:get_option_number("pytel_people_burst_seconds", 4);
local stanza_size_limit = module:get_option_number("pytel_people_stanza_size_limit", 128 * 1024);
local presence_costs = 10; -- stanzas: each goes to every account

local function costs_of(stanza)
	return stanza.name == "presence" and presence_costs or 1;
end

-- Bytes alone would let a flood of the smallest stanzas through.
local function count_stanza(stanza, session)
	if session.pytel_throttle:poll(costs_of(stanza)) then return stanza; end
	if not session.pytel_closed then
		session.pytel_closed = true;
		module:log("warn", "%s sends more than %d stanzas a second: closed", session.full_jid, stanzas_per_second);
		session:close({ condition = "policy-violation", text = "More stanzas per second than people may send" });
	end
	return nil;
end

module:hook("authentication-success", function (event)
	local session = event.session;
	if not people:contains(session.username) then return; end
	session.conn:setlimit(bytes_per_second);
	session.stanza_size_limit = stanza_size_limit;
	session.stream:set_stanza_size_limit(stanza_size_limit);
	session.pytel_throttle = throttle.create(stanzas_per_second * burst_seconds, burst_seconds);
	filters.add_filter(session, "stanzas/in", count_stanza);
end, -10);
