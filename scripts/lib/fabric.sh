# SPDX-License-Identifier: Apache-2.0
# The lab's network: two ToRs that do not know each other, and the world behind both.
# shellcheck shell=bash
#
#   world ──w0── tor0 ──s0── up0 ┐
#     └────w1─── tor1 ──s0── up1 ┴ node (the daemon) ── pods
#
# A ToR's neighbour entries (ARP, ND) become host routes (/32, /128) that BIRD announces to the world, as the switch of
# a routed fabric does. The world has no other way to a pod, so a ToR that did not hear of a pod is never used for it.

tor_mac=02:00:5e:00:01:01  # the gateway's MAC, the same on both ToRs
node_mac=02:00:5e:10:00:01 # the node's, the same on both uplinks, as on an LACP bond
host_mac=02:00:5e:10:00:02 # the node's own stack, behind the daemon
world4=10.9.0.1 world6=fd00:9::1
# Of every node and pod: anyone may ping, and every ICMP error that is due comes. By default the kernel sends a peer six
# at once and one a second then, while traceroute asks sixteen times at once and takes the rest for silent.
ns_settings=(net.ipv4.ping_group_range='0 2147483647' net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0)
ranges4=(10.1.10 10.1.11)               # the pod ranges, /24 each; gateway .1
ranges6=(fd00:10:1:10: fd00:10:1:11:)   # /64 each; gateway ::1
host4=10.1.0 host6=fd00:10:1:0:         # the host's subnet

ns_ip() {
	local ns=$1
	shift
	ip -n "$prefix-$ns" "$@"
}

ns_exec() {
	local ns=$1
	shift
	ip netns exec "$prefix-$ns" "$@"
}

ns_exists() {
	[ -e "/run/netns/$prefix-$1" ]
}

# Usage: ns_sysctl NAMESPACE KEY=VALUE...
ns_sysctl() {
	local ns=$1
	shift
	ns_exec "$ns" sysctl -qw "$@"
}

ns_add() {
	local ns=$1
	ip netns add "$prefix-$ns"
	ns_ip "$ns" link set lo up
	# `all` and `default`: the stricter of `all` and the device's own counts for rp_filter and redirects.
	ns_sysctl "$ns" net.ipv4.conf.{all,default}.rp_filter=0 net.ipv4.conf.{all,default}.send_redirects=0 \
		net.ipv4.conf.{all,default}.accept_redirects=0 net.ipv6.conf.{all,default}.accept_redirects=0 \
		net.ipv6.conf.{all,default}.accept_dad=0 net.ipv6.conf.{all,default}.accept_ra=0 \
		net.ipv6.conf.{all,default}.keep_addr_on_down=1 "${ns_settings[@]}"
}

world_make() {
	ns_add world
	ns_ip world addr add $world4/32 dev lo
	ns_ip world addr add $world6/128 dev lo nodad
	ns_sysctl world net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1 \
		net.ipv4.conf.all.ignore_routes_with_linkdown=1 net.ipv4.conf.default.ignore_routes_with_linkdown=1
}

# Usage: tor_make 0|1; the node's and the world's namespaces are there.
tor_make() {
	local i=$1 tor=tor$1 r
	ns_add "$tor"
	ns_sysctl "$tor" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1
	ns_ip "$tor" link add s0 address $tor_mac type veth peer name "up$i" netns "$prefix-node" address $node_mac
	ns_ip "$tor" link add w0 type veth peer name "w$i" netns "$prefix-world"
	ns_ip world addr add "10.9.$((i + 1)).1/30" dev "w$i"
	ns_ip world addr add "fd00:9:$((i + 1))::1/64" dev "w$i" nodad
	ns_ip world link set "w$i" up
	ns_ip "$tor" addr add "10.9.$((i + 1)).2/30" dev w0
	ns_ip "$tor" addr add "fd00:9:$((i + 1))::2/64" dev w0 nodad
	ns_ip "$tor" link set w0 up
	# An announcement makes an entry where there is none; entries of quiet pods are kept.
	ns_sysctl "$tor" net.ipv4.conf.s0.arp_accept=1 net.ipv6.conf.s0.accept_untracked_na=1 \
		net.ipv4.neigh.s0.gc_stale_time=86400 net.ipv6.neigh.s0.gc_stale_time=86400
	for r in "$host4" "${ranges4[@]}"; do
		ns_ip "$tor" addr add "$r.1/24" dev s0
	done
	for r in "$host6" "${ranges6[@]}"; do
		ns_ip "$tor" addr add "$r:1/64" dev s0 nodad
	done
	# A veth passes packets whose checksum is still to be made; a user-space switch would send them on so.
	ns_exec "$tor" ethtool -K s0 tx off >/dev/null
	ns_ip "$tor" link set s0 up
	start_process "$run/neighbours$i.pid" "$run/neighbours$i.log" \
		ip netns exec "$prefix-$tor" "$top/scripts/lib/neighbour-routes" s0
}

# The kernel of the node has nothing to say on the uplinks: they are the daemon's.
uplinks_quiet() {
	local i
	for i in 0 1; do
		ns_sysctl node "net.ipv6.conf.up$i.disable_ipv6=1"
		ns_ip node link set "up$i" arp off addrgenmode none
		ns_ip node link set "up$i" up
	done
}

bird_start() { # NAMESPACE CONFIG-TEXT
	local ns=$1
	printf '%s\n' "$2" >"$run/bird-$ns.conf"
	# A switch answers its neighbours' BFD in time, whatever else this machine does.
	start_process "$run/bird-$ns.pid" "$run/bird-$ns.log" \
		nice -n -15 ip netns exec "$prefix-$ns" bird -f -c "$run/bird-$ns.conf" -s "$run/bird-$ns.ctl"
}

bird_common() { # ROUTER-ID
	cat <<EOT
router id $1;
protocol device { scan time 2; }
protocol bfd { interface "w*" { min rx interval 200 ms; min tx interval 200 ms; multiplier 5; }; }
template bgp peer {
	direct; bfd on; check link yes; hold time 6; keepalive time 2;
	connect delay time 1; connect retry time 1; error wait time 1, 1; error forget time 2;
}
EOT
}

bird_tor() { # 0|1
	local i=$1 n=$(($1 + 1))
	bird_start "tor$i" "$(
		bird_common "10.9.$n.2"
		cat <<EOT
protocol kernel k4 {
	learn; scan time 5;
	ipv4 { preference 200; import where krt_source = 200; export where source = RTS_BGP; };
}
protocol kernel k6 {
	learn; scan time 5;
	ipv6 { preference 200; import where krt_source = 200; export where source = RTS_BGP; };
}
protocol bgp world4 from peer {
	local 10.9.$n.2 as 6510$i; neighbor 10.9.$n.1 as 65000;
	ipv4 { import all; export where source = RTS_INHERIT; };
}
protocol bgp world6 from peer {
	local fd00:9:$n::2 as 6510$i; neighbor fd00:9:$n::1 as 65000;
	ipv6 { import all; export where source = RTS_INHERIT; };
}
EOT
	)"
}

bird_world() {
	local i n
	bird_start world "$(
		bird_common "$world4"
		cat <<EOT
protocol static s4 { ipv4; route 0.0.0.0/0 unreachable; }
protocol static s6 { ipv6; route ::/0 unreachable; }
protocol kernel k4 {
	merge paths on;
	ipv4 { import none; export filter { if source != RTS_BGP then reject; krt_prefsrc = $world4; accept; }; };
}
protocol kernel k6 {
	merge paths on;
	ipv6 { import none; export filter { if source != RTS_BGP then reject; krt_prefsrc = $world6; accept; }; };
}
EOT
		for i in 0 1; do
			n=$((i + 1))
			cat <<EOT
protocol bgp tor4_$i from peer {
	local 10.9.$n.1 as 65000; neighbor 10.9.$n.2 as 6510$i;
	ipv4 { import all; export where source = RTS_STATIC; };
}
protocol bgp tor6_$i from peer {
	local fd00:9:$n::1 as 65000; neighbor fd00:9:$n::2 as 6510$i;
	ipv6 { import all; export where source = RTS_STATIC; };
}
EOT
		done
	)"
}

tor_has_default() {
	[ -n "$(ns_ip "tor$1" -4 route show default)" ] && [ -n "$(ns_ip "tor$1" -6 route show default)" ]
}

# The whole ToR goes: its carrier to the node and to the world. Its neighbour entries go with it.
tor_down() {
	ns_ip "tor$1" link set s0 down
	ns_ip "tor$1" link set w0 down
	ns_ip "tor$1" neigh flush dev s0
}

# A ToR opens its servers' ports once it has routes itself, or it would draw traffic and drop it.
tor_up() {
	ns_exec "tor$1" nft delete table netdev hang_w0 2>/dev/null || :
	ns_ip "tor$1" link set w0 up
	wait_until 60 tor_has_default "$1" || die "tor$1 has no way to the world; see $run/bird-tor$1.log"
	ns_exec "tor$1" nft delete table netdev hang_s0 2>/dev/null || :
	ns_ip "tor$1" link set s0 up
}

# Packets stop, carrier stays: what a hung switch looks like.
tor_hang() {
	local device
	for device in s0 w0; do
		ns_exec "tor$1" nft -f - <<EOT
table netdev hang_$device {
	chain in { type filter hook ingress device "$device" priority 0; policy drop; }
	chain out { type filter hook egress device "$device" priority 0; policy drop; }
}
EOT
	done
}
