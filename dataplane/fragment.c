/* SPDX-License-Identifier: Apache-2.0 */
// IPv4 fragmentation (RFC 791, RFC 1812 section 5.2.1.5) by librte_ip_frag.
#include <rte_ip_frag.h>

#include "dataplane/headers.h"
#include "dataplane/internal.h"

#define FRAGMENTS_MAX 64

void fragment4(struct worker *w, struct port *in, struct rte_mbuf *m, uint16_t out, uint16_t mtu)
{
    struct rte_ether_hdr eth = *rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
    unsigned ihl = (ip4(m)->version_ihl & 15) * 4;
    struct rte_mbuf *fragments[FRAGMENTS_MAX];
    unsigned offset = rte_be_to_cpu_16(ip4(m)->fragment_offset) & RTE_IPV4_HDR_OFFSET_MASK;
    // Behind the largest offset comes 0: there would be a first fragment that nobody has looked at.
    bool fits = offset * RTE_IPV4_HDR_OFFSET_UNITS + m->pkt_len - sizeof eth <= UINT16_MAX;
    int32_t n = -1;

    rte_pktmbuf_adj(m, sizeof eth);
    // The library wants the payload in multiples of 8 and knows no options; packets with options
    // are dropped.
    if (ihl == sizeof(struct rte_ipv4_hdr) && fits) {
        mtu = (uint16_t)(ihl + RTE_ALIGN_FLOOR(mtu - ihl, 8u));
        n = rte_ipv4_fragment_copy_nonseg_packet(m, fragments, FRAGMENTS_MAX, mtu, dp.pool);
    }
    if (n < 0) {
        drop(w, in, m, DROP_fragment_failed);
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(fragments[i], struct rte_ipv4_hdr *);

        ip->hdr_checksum = 0;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
        memcpy(rte_pktmbuf_prepend(fragments[i], sizeof eth), &eth, sizeof eth);
        output(w, out, fragments[i]);
    }
    // One packet came in, n go out.
    w->counters[in->no].originated += (uint64_t)n - 1;
    rte_pktmbuf_free(m);
}
