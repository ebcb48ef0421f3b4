-- Accounts by way of the admin socket: <order xmlns='urn:pytel:admin' action='…' host='…' name='…'>password</order>
module:set_global();

local st = require "util.stanza";
local usermanager = require "core.usermanager";
local portmanager = require "core.portmanager";

local xmlns = "urn:pytel:admin";
local actions = {};

local function has_account(host, name)
	return prosody.hosts[host].users.user_exists(name) == true;
end

function actions.status()
	local ports = {};
	for _, _, port in portmanager.get_active_services():iter(nil, nil, nil) do
		ports[#ports + 1] = ("%d"):format(port);
	end
	return ports;
end

function actions.accounts(host)
	local names = {};
	for name in usermanager.users(host) do
		names[#names + 1] = name;
	end
	return names;
end

-- The password of an account that keeps it is not written anew: that would end the account's sessions.
actions["set-password"] = function (host, name, password)
	if has_account(host, name) then
		if usermanager.test_password(name, host, password) then return {}; end
		return usermanager.set_password(name, password, host, nil) and {};
	end
	local ok, reason = usermanager.create_user(name, password, host);
	if not ok then return nil, reason; end
	prosody.events.fire_event("pytel-account-created", { username = name, host = host });
	return {};
end

actions["remove-account"] = function (host, name)
	if not has_account(host, name) then return {}; end
	prosody.events.fire_event("pytel-account-leaves", { username = name, host = host });
	local ok, reason = usermanager.delete_user(name, host);
	return ok and {}, reason;
end

local function carry_out(attr, text)
	local action = actions[attr.action];
	if not action then return nil, "no such action"; end
	if not (prosody.hosts[attr.host] and prosody.hosts[attr.host].users) then return nil, "no such host"; end
	return action(attr.host, attr.name, text);
end

module:hook("admin/"..xmlns..":order", function (event)
	local values, reason = carry_out(event.stanza.attr, event.stanza:get_text());
	local answer = st.stanza("answer", { xmlns = xmlns, type = values and "result" or "error" });
	if not values then
		answer:text(tostring(reason or "refused"));
	end
	for _, value in ipairs(values or {}) do
		answer:tag("value"):text(value):up();
	end
	event.origin.send(answer);
	return true;
end);
