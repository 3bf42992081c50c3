# An agent that misbehaves when it is prompted, in the way that its argument says: `signalbox-bench hostile`.
# `yes` writes as fast as a pipe takes it, and reads nothing.

# It gives up a priority that the server was given for the measurement, and that it inherits.
{ chrt --other --pid 0 $$; renice -n 0 -p $$; } >/dev/null 2>&1

line() { printf '%s\n' "$1"; }
update() { line '{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{'"$1"'}}}'; }
text() { update '"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"'"$1"'"}'; }

read -r _; line '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":1}}'
read -r _; line '{"jsonrpc":"2.0","id":1,"result":{"sessionId":"s"}}'
read -r _
case $1 in
spin) while :; do :; done ;;
text) exec yes "$(text 'a flood of text ')" ;;
updates) exec yes "$(update '"sessionUpdate":"from_nowhere","value":1')" ;;
garbage) exec yes 'this is not JSON at all' ;;
huge)
    much=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    for _ in 1 2 3 4 5 6 7; do much=$much$much$much$much$much; done # 64 * 5^7: 5 MB
    while :; do text "$much"; done
    ;;
deaf) exec yes '{"jsonrpc":"2.0","id":7,"method":"made/up"}' ;; # and does not read the answers
crash) exit 1 ;;
esac
