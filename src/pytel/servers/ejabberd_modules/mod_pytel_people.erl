%% People may send a few stanzas per second: a shaper of bytes alone lets a flood of the smallest ones through.
%% The hook runs in the process of the sender's own connection, whose dictionary holds what is left to send.
-module(mod_pytel_people).

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_opt_type/1, mod_doc/0]).
-export([count/1]).

-define(PRESENCE_COSTS, 10). % stanzas: each goes to every account

start(Host, _Opts) ->
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, count, 1).

stop(Host) ->
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, count, 1).

reload(_Host, _New, _Old) ->
    ok.

depends(_Host, _Opts) ->
    [].

mod_opt_type(people) ->
    econf:list(econf:binary());
mod_opt_type(stanzas_per_second) ->
    econf:pos_int();
mod_opt_type(burst_seconds) ->
    econf:pos_int().

mod_options(_Host) ->
    [{people, []}, {stanzas_per_second, 50}, {burst_seconds, 4}].

mod_doc() ->
    #{desc => <<"Closes the connection of a person who sends too many stanzas per second.">>}.

count({Stanza, #{user := User, lserver := Host} = State}) ->
    case lists:member(User, gen_mod:get_module_opt(Host, ?MODULE, people)) of
        true -> pay(Stanza, State, Host);
        false -> {Stanza, State}
    end;
count(Other) ->
    Other.

pay(Stanza, State, Host) ->
    Rate = gen_mod:get_module_opt(Host, ?MODULE, stanzas_per_second),
    Most = Rate * gen_mod:get_module_opt(Host, ?MODULE, burst_seconds),
    Now = erlang:monotonic_time(millisecond),
    {Had, Since} = case get(?MODULE) of
                       undefined -> {Most, Now};
                       Known -> Known
                   end,
    Left = min(Most, Had + (Now - Since) * Rate / 1000) - costs(Stanza),
    put(?MODULE, {Left, Now}),
    if
        Left >= 0 -> {Stanza, State};
        true -> {stop, {drop, refuse(State)}}
    end.

refuse(State) ->
    case put(mod_pytel_people_refused, true) of
        true -> State;
        undefined ->
            Error = xmpp:serr_policy_violation(<<"More stanzas per second than people may send">>, <<"en">>),
            ejabberd_c2s:send(State, Error)
    end.

%% A stanza is a record: its name comes first.
costs(Stanza) when element(1, Stanza) == presence ->
    ?PRESENCE_COSTS;
costs(_) ->
    1.
