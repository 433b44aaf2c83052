/* SPDX-License-Identifier: Apache-2.0 */
// ARP (RFC 826). A pod's request for its gateway is answered with the router's MAC, a ToR's request
// for an attached pod's address with the node's; answers from ToRs are handed to the control
// thread. Nothing is ever passed on.
#include "dataplane/headers.h"
#include "dataplane/policy.h"

// Turns a request into its answer: `mac` is what the requested address is at.
static void answer(struct worker *w, const struct port *port, struct rte_mbuf *m,
                   const uint8_t mac[6])
{
    struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
    struct rte_arp_hdr *arp = (struct rte_arp_hdr *)(eth + 1);
    rte_be32_t asked = arp->arp_data.arp_tip;

    arp->arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
    arp->arp_data.arp_tha = arp->arp_data.arp_sha;
    arp->arp_data.arp_tip = arp->arp_data.arp_sip;
    memcpy(&arp->arp_data.arp_sha, mac, RTE_ETHER_ADDR_LEN);
    arp->arp_data.arp_sip = asked;
    eth->dst_addr = eth->src_addr;
    memcpy(&eth->src_addr, mac, RTE_ETHER_ADDR_LEN);
    output(w, port->no, m);
}

static const struct rte_arp_hdr *arp_of(const struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod_offset(m, const struct rte_arp_hdr *, RTE_ETHER_HDR_LEN);
}

static void from_pod(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    const struct rte_arp_ipv4 *data = &arp_of(m)->arp_data;
    const struct guard *guard = load_acquire(&port->guard);
    const struct guard4 *own = guard_find4(guard, data->arp_sip);

    // RFC 5227 section 1.1: a probe has the sender address 0 and asks for the address it wants.
    if (!data->arp_sip)
        own = guard_find4(guard, data->arp_tip);
    if (!rte_is_same_ether_addr(&data->arp_sha, &port->info.params.mac) || !own) {
        drop(w, port, m, DROP_guard_arp);
        return;
    }
    if (!policy_admits(w, port, &m))
        return;
    data = &arp_of(m)->arp_data;
    if (!data->arp_sip || data->arp_sip == data->arp_tip)
        drop(w, port, m, DROP_arp_announcement);
    else if (arp_of(m)->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) &&
             data->arp_tip == ip_v4(&dp.gateways[own->gateway].address))
        answer(w, port, m, dp.config.router_mac.addr_bytes);
    else
        drop(w, port, m, DROP_arp_not_for_us);
}

static bool is_gateway(rte_be32_t address)
{
    for (unsigned i = 0; i < dp.n_gateways; i++)
        if (ip_is_v4(&dp.gateways[i].address) && ip_v4(&dp.gateways[i].address) == address)
            return true;
    return false;
}

static void from_uplink(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    const struct rte_arp_hdr *arp = arp_of(m);

    if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY) && is_gateway(arp->arp_data.arp_sip)) {
        punt(w, port, m); // the daemon asked for it itself
        return;
    }
    if (!policy_admits(w, port, &m))
        return;
    arp = arp_of(m);
    if (arp->arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST) &&
        arp->arp_data.arp_sip != arp->arp_data.arp_tip && forward_has4(arp->arp_data.arp_tip))
        answer(w, port, m, port_mac(port));
    else
        drop(w, port, m, DROP_arp_not_for_us);
}

void arp_input(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    if (!arp_is_sound(arp_of(m), (unsigned)m->data_len - RTE_ETHER_HDR_LEN))
        drop(w, port, m, DROP_arp_malformed);
    else if (port->guarded)
        from_pod(w, port, m);
    else
        from_uplink(w, port, m);
}
