#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# sluicectl with the real daemon: its tables, that the answers are as documented, and a pod made by hand as --help says.
. "$(dirname "$0")/lib.sh"

ctl=$(binary sluicectl)
node=/run/netns/$SLUICE_LAB_PREFIX-node
lab_start a:0 b:1
in_ns a ping -q -c 3 -i 0.2 $world4 >/dev/null

# The members of an answer as paths, one a line; list indices and what is named by drop reasons left out.
members='paths | map(if type == "number" then "[]" else . end) | join(".") | select(contains("drops.") | not)'

documented() { # METHOD
	python3 - "$top/docs/control-socket.md" "$1" <<-'EOP'
		import re, sys
		section = open(sys.argv[1]).read().split("\n### %s\n" % sys.argv[2])[1].split("\n### ")[0]
		print(re.search(r"```json\n(.*?)```", section, re.S).group(1))
	EOP
}

# Of what is listed in the documentation and not here (there is no NIC), the items' members cannot be compared.
members_agree() { # METHOD
	lab ctl --json "$1" >"$scratch/answer" || return 1
	jq -r "$members" "$scratch/answer" | sort -u | grep -v '^problems' >"$scratch/members"
	documented "$1" | jq -r "$members" | sort -u | grep -v '^problems' |
		awk 'NR == FNR { there[$0] = 1; next } { list = $0; sub(/\.\[\].*/, "", list) }
			!(list in there) || list == $0 || (list ".[]") in there' "$scratch/members" - |
		diff - "$scratch/members"
}

fits() { # VERB...: no line has more than 100 characters
	lab ctl "$@" | awk 'length > 100 { print; long = 1 } END { exit long || !NR }'
}

# So that no list is empty whose items' members are to be compared.
check "an operator adds a rule" ovs-ofctl -O OpenFlow13 add-flow "unix:$run/br0.mgmt" table=1,priority=1,udp,actions=NORMAL
for verb in status ports pods rules stats workers offload; do
	check "$verb: the answer has the documented members and no others" members_agree $verb
	check "$verb: the table fits 100 columns" fits $verb
done
check "version answers" lab ctl version
check "status: the node is well" wait_until 60 eval 'lab ctl status | head -n 1 | grep -q ": ok$"'
check "pods: both are up, by address" eval "lab ctl pods $(lab pod ip a 4) | grep -q ' up '"
check "rules: a's go out by its port" eval "lab ctl rules $SLUICE_LAB_PREFIX-a | grep -q 'dec_ttl,output:'"
check "ports: both uplinks have link" eval "lab ctl ports | grep -c ' uplink  *up ' | grep -qx 2"
losses_agree() {
	diff <(lab ctl --json ports | jq -c '.ports[] | select(.kind == "uplink") | .drops') \
		<(lab ctl --json stats | jq -c '.ports[] | select(.kind == "uplink") | [.drops | to_entries[] | select(.key != "punted") | .value] | add // 0')
}
check "stats: gateways' answers are punted" eval "lab ctl --json stats | jq -e '.totals.drops.punted > 0'"
check "ports: what was punted is no drop" wait_until 60 losses_agree
check "a relative path of the socket is the caller's" bash -c "cd '$run' && '$ctl' --socket control.sock ports"
check "stats: the sum rule holds" wait_until 60 eval 'lab ctl stats | tail -n 1 | grep -q ": holds$"'

ip netns exec "$SLUICE_LAB_PREFIX-pod-a" ping -q -i 0.1 $world4 >/dev/null &
pinger=$!
"$ctl" --socket "$run/control.sock" stats --watch >"$scratch/watch" &
watcher=$!
# 10 packets a second arrive on the pod's port
check "stats --watch: shows rates" wait_until 60 \
	awk '$3 == "pod" && $4 >= 8 && $4 <= 14 { ok = 1 } END { exit !ok }' "$scratch/watch"
kill $pinger $watcher
wait $pinger $watcher 2>/dev/null

# The commands that `sluicectl attach --help` teaches, with names and an address of this lab.
red=$SLUICE_LAB_PREFIX-pod-red
"$ctl" attach --help | sed -n '/^Example/,/^Options/s/^  //p' | grep -v '^--' |
	sed "s/\bred\b/$red/g; s/10\.1\.10\.5/10.1.10.200/g; s|^sluicectl|$ctl --socket $run/control.sock|" >"$scratch/example"
check "attach: the commands of --help work" nsenter --net="$node" bash -eu "$scratch/example"
check "attach: the pod reaches its gateway" in_ns red ping -q -c 2 -i 0.2 -W 10 10.1.10.1
check "attach: the pod reaches the other" in_ns red ping -q -c 2 -i 0.2 -W 10 "$(lab pod ip b 4)"
check "attach: the same again succeeds" eval "nsenter --net=$node bash -eu <(sed -n '/attach/,/--ip/p' $scratch/example)"
check "pods: it is listed" eval "lab ctl pods 10.1.10.200 | grep -q ' up '"

detach() {
	lab ctl detach --container-id "$red" --ifname eth0
}
check_equal "detach: says that it did" "$(detach)" "detached"
check_equal "detach: again, says that there was nothing" "$(detach)" "was not attached"
check "detach: the pod reaches nobody" eval '! in_ns red ping -q -c 2 -i 0.2 -W 1 10.1.10.1'

as() { # GROUP sluicectl's arguments
	setpriv --reuid 65534 --regid 65534 --groups "$1" "$ctl" --socket "$run/control.sock" "${@:2}" >/dev/null 2>"$scratch/err"
	echo "$? $(grep -o not_permitted "$scratch/err")"
}
check_equal "who is not in the socket's group cannot look" "$(as 65534 status)" "3 "
check_equal "who is in it may look" "$(as 0 status)" "0 "
check_equal "but may not detach" "$(as 0 detach --container-id x --ifname y)" "1 not_permitted"
finish
