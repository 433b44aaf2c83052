#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two workers, each with ports of its own: packets that come in by one worker's port and leave by the other's are handed
# over; nothing is lost or counted twice, also when the daemon is killed.
. "$(dirname "$0")/lib.sh"

mapfile -t cpus < <(taskset -cp $$ | sed 's/.*: //' | tr ',' '\n' | awk -F- '{for (i = $1; i <= ($2 ? $2 : $1); i++) print i}')
if [ ${#cpus[@]} -lt 2 ]; then
	echo "1..0 # SKIP one CPU only"
	exit
fi

pods=(a b c d)
lab_start a:0 b:0 c:1 d:1
lab daemon stop
{ cat "$run/sluice.yaml" && echo "workers: {cpus: [1023]}"; } >"$scratch/sluice.yaml"
check "a CPU that is not there is named" eval \
	'in_ns node timeout 60 "$(binary sluiced)" --config "$scratch/sluice.yaml" 2>&1 | grep -q "no CPU 1023"'
printf 'workers: {cpus: [%s, %s]}\n' "${cpus[0]}" "${cpus[1]}" >>"$run/sluice.yaml"
check "the daemon starts with two workers" lab daemon start
check_equal "there are two workers" "$(lab ctl --json status | jq .workers)" 2
check_equal "both have queues" "$(lab ctl --json workers | jq '[.workers[].queues] | length == 2 and min > 0')" true

all_reach_all() {
	local v from to
	for v in 4 6; do
		for from in "${pods[@]}"; do
			for to in "${pods[@]}"; do
				[ "$from" = "$to" ] || pings "$from" "$(lab pod ip "$to" $v)" || { echo "IPv$v $from to $to"; return 1; }
			done
			pings "$from" $world4 && pings "$from" $world6 || { echo "$from to the world"; return 1; }
			pings world "$(lab pod ip "$from" $v)" || { echo "IPv$v the world to $from"; return 1; }
		done
	done
}
check "each pod reaches each other and the world" all_reach_all
check "fragments pass" pings a "$(lab pod ip c 4)" -s 4000

# TCP in both directions at once, so that both workers hand over to each other under load.
server() { # NODE
	in_ns "$1" iperf3 -s >/dev/null 2>&1 &
	disown
	wait_until 60 tcp_port_open "$1" 5201 || not_ok "iperf3 on $1 listens"
}
transfer() { # NODE ADDRESS FILE
	in_ns "$1" timeout 120 iperf3 -J -t $((${slow:-0} ? 2 : 5)) -c "$2" >"$scratch/$3"
}
server b
server c
server world
worker_packets() {
	lab ctl --json workers | jq ".workers[$1].packets"
}
before=("$(worker_packets 0)" "$(worker_packets 1)")
retransmissions() { # FILE: of 1,000 segments
	jq '.end.sum_sent | .retransmits * 1000 / (.bytes / 1448) | ceil' "$scratch/$1"
}
transfers() {
	local job jobs=() status=0
	transfer a "$(lab pod ip b 4)" tcp0.json & jobs+=($!)
	transfer d "$(lab pod ip c 6)" tcp1.json & jobs+=($!)
	transfer c $world4 tcp2.json & jobs+=($!)
	for job in "${jobs[@]}"; do
		wait "$job" || status=1
	done
	return $status
}
check "TCP goes through, three transfers at once" measure \
	'[ "$(for i in 0 1 2; do retransmissions tcp$i.json; done | sort -n | tail -n 1)" -le 20 ]' transfers
for i in 0 1 2; do
	echo "# TCP $i: $(jq -c '.end | {mbit: (.sum_received.bits_per_second / 1e6 | floor), retransmits: .sum_sent.retransmits}' \
		"$scratch/tcp$i.json")"
	check_at_most "TCP $i: retransmissions of 1,000 segments" \
		"$(retransmissions tcp$i.json)" 20
done
for i in 0 1; do
	check_at_least "worker $i took packets" "$(($(worker_packets $i) - before[i]))" 1000
done
check "the sum rule holds after the traffic" wait_until 60 sum_rule_holds
echo "# drops: $(lab ctl --json stats | jq -c '.totals.drops | with_entries(select(.value > 0))')"

# Latency of idle workers that hand over to each other: a worker asleep is woken, or wakes by itself in time.
idle_max=$((${slow:-0} ? 50000 : 10000)) # us
idle_answers() {
	in_ns a ping -n -q -c 50 -i 0.05 "$(lab pod ip c 4)" >"$scratch/idle"
}
idle_average() {
	awk -F/ '/^rtt/ {printf "%d", $5 * 1000}' "$scratch/idle"
}
check "idle workers answer" measure "[ \$(idle_average) -le $idle_max ]" idle_answers
echo "# idle: $(tail -n 1 "$scratch/idle")"
check_at_most "idle workers: the average answer in us" "$(idle_average)" $idle_max

# Pods come and go while traffic of others is handed over.
echo_server c
churn() {
	local i
	probe a "$(lab pod ip c 4)" --seconds 12 --flows 16 --pps 50 --late 10 >"$scratch/churn.json" &
	for i in 1 2 3 4 5 6 7 8; do
		lab pod add "n$i" $((i % 2)) && in_ns "n$i" ping -n -q -c 3 -i 0.2 -W 10 "$(lab pod ip a 4)" >/dev/null &&
			lab pod del "n$i" || return 1
	done
	wait
}
lost_meanwhile() {
	jq '(1000 * .lost / .sent) | floor' "$scratch/churn.json"
}
check "pods come and go under traffic" measure '[ "$(lost_meanwhile)" -le 5 ]' churn
echo "# $(cat "$scratch/churn.json")"
check_at_most "packets lost meanwhile, per mille" "$(lost_meanwhile)" 5

attached=$(lab ctl --json pods | jq -cS .pods)
probe b "$(lab pod ip d 4)" --seconds 1 >/dev/null
lab daemon kill
check "killed, the daemon starts again" lab daemon start
check_equal "it has its pods again" "$(lab ctl --json pods | jq -cS .pods)" "$attached"
check "each pod reaches each other and the world again" wait_until 60 all_reach_all
check "the sum rule holds" wait_until 60 sum_rule_holds
finish
