-- One site: its accounts all see each other, and the nodes of pytel are configured here and nowhere else.
local usermanager = require "core.usermanager";
local rostermanager = require "core.rostermanager";
local jid = require "util.jid";
local st = require "util.stanza";
local gettime = require "util.time".now;

local host = module.host;
local events_kept = module:get_option_number("pytel_events_kept", 200);

-- Presence without rosters ---------------------------------------------------------------------------------------

local function add_contact(roster, name)
	roster[name.."@"..host] = { subscription = "both", groups = { [host] = true }, persist = false };
end

local function loaded_rosters(visit)
	for name, account in pairs(prosody.hosts[host].sessions) do
		if account.roster then visit(name, account.roster); end
	end
	prosody.hosts[host].roster_cache = nil; -- those of accounts that are offline are loaded anew
end

module:hook("roster-load", function (event)
	for name in usermanager.users(host) do
		if name ~= event.username then add_contact(event.roster, name); end
	end
end);

module:hook_global("pytel-account-created", function (event)
	if event.host ~= host then return; end
	loaded_rosters(function (name, roster)
		if name ~= event.username then
			add_contact(roster, event.username);
			rostermanager.roster_push(name, host, event.username.."@"..host);
		end
	end);
end);

module:hook_global("user-deleted", function (event)
	if event.host ~= host then return; end
	loaded_rosters(function (name, roster)
		if name ~= event.username then
			roster[event.username.."@"..host] = nil;
			rostermanager.roster_push(name, host, event.username.."@"..host);
		end
	end);
end, -10); -- after the account's sessions have told that they are gone

local function of_this_site(address)
	return address == nil or jid.host(address) == host;
end

module:hook("iq/self/jabber:iq:roster:query", function (event)
	if event.stanza.attr.type ~= "set" then return; end
	event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed", "The site decides who sees whom."));
	return true;
end, 10);

local subscriptions = { subscribe = true, subscribed = true, unsubscribe = true, unsubscribed = true };

module:hook("pre-presence/bare", function (event)
	if subscriptions[event.stanza.attr.type or ""] and of_this_site(event.stanza.attr.to) then
		return true;
	end
end, 10);

-- Time (XEP-0202) with fractions: whole seconds are too coarse to compare clocks ---------------------------------

module:hook("iq-get/host/urn:xmpp:time:time", function (event)
	local now = gettime();
	local fraction = ("%.6f"):format(now % 1):sub(2);
	if fraction:sub(1, 1) ~= "." then fraction = ".999999"; end
	event.origin.send(st.reply(event.stanza):tag("time", { xmlns = "urn:xmpp:time" })
		:tag("tzo"):text("+00:00"):up()
		:tag("utc"):text(os.date("!%Y-%m-%dT%H:%M:%S", math.floor(now))..fraction.."Z"));
	return true;
end, 10);

-- Nodes (XEP-0060, XEP-0163) -------------------------------------------------------------------------------------

local function forced(node, config)
	local kept;
	if node:find("urn:pytel:event:", 1, true) == 1 then
		kept = events_kept;
	elseif node:find("urn:pytel:", 1, true) == 1 then
		kept = 1;
	else
		return config;
	end
	local new = {};
	for key, value in pairs(config or {}) do new[key] = value; end
	new.access_model = "open";
	new.publish_model = "publishers";
	new.persist_items = true;
	new.max_items = kept;
	new.send_last_published_item = "on_sub_and_presence";
	return new;
end

-- What mod_pep adds on behalf of the publisher's friends goes to full addresses; a bare one would be a second copy.
local function without_second_copies(filter)
	return function (addresses, node, kind)
		local wanted = filter(addresses, node, kind);
		for address in pairs(wanted) do
			if not addresses[address] and not jid.resource(address) then wanted[address] = nil; end
		end
		return wanted;
	end
end

module:handle_items("pep-service", function (event)
	local service = event.item.service;
	local create, set_node_config, publish = service.create, service.set_node_config, service.publish;
	function service:create(node, actor, options)
		return create(self, node, actor, forced(node, options));
	end
	function service:set_node_config(node, actor, config)
		return set_node_config(self, node, actor, forced(node, config));
	end
	function service:publish(node, actor, id, item, options)
		if forced(node) then options = nil; end
		return publish(self, node, actor, id, item, options);
	end
	service.config.subscriber_filter = without_second_copies(service.config.subscriber_filter);
end, function () end);

-- mod_pep forgets only the nodes that it has in memory
local pep = module:depends("pep");
module:hook_global("pytel-account-leaves", function (event)
	if event.host == host then pep.get_pep_service(event.username); end
end);
