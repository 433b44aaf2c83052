/* SPDX-License-Identifier: Apache-2.0 */
// Frames of a pcap file (the classic format, pcap-savefile(5)), for the benchmark's rules: each
// destination address becomes a pod's, each source the sender's. Lengths, protocols and ports stay.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_ip.h>

#include "tests/bench/net_gen/traffic.h"

#define MAGIC_US   0xa1b2c3d4
#define MAGIC_NS   0xa1b23c4d
#define ETHERNET   1
#define FRAMES_MAX (1u << 20)
#define BYTES_MAX  (1u << 30)

struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t zone, accuracy, snaplen, link;
};

struct record_header {
    uint32_t seconds, fraction, kept, len;
};

// The same address becomes the same pod.
static unsigned pod_of(const void *address, size_t size, unsigned pods)
{
    const uint8_t *bytes = address;
    uint32_t hash = 2166136261; // FNV-1a

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 16777619;
    return (hash ^ hash >> 16) % pods;
}

// False: it is not IP, or was cut short by the capture.
static bool map_addresses(uint8_t *frame, unsigned len, unsigned pods)
{
    struct rte_ether_hdr *eth = (void *)frame;
    struct rte_ipv4_hdr *ip4 = (void *)(eth + 1);
    struct rte_ipv6_hdr *ip6 = (void *)(eth + 1);

    memcpy(frame, gen_macs, sizeof gen_macs);
    if (len >= sizeof *eth + sizeof *ip4 && eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
        unsigned ihl = (ip4->version_ihl & 15) * 4u;

        if (ihl < sizeof *ip4 || sizeof *eth + rte_be_to_cpu_16(ip4->total_length) > len ||
            sizeof *eth + ihl > len)
            return false;
        ip4->src_addr = gen_sender4();
        ip4->dst_addr = gen_pod4(pod_of(&ip4->dst_addr, 4, pods));
        ip4->time_to_live = 64;
        ip4->hdr_checksum = 0;
        ip4->hdr_checksum = gen_sum_fold(gen_sum(0, ip4, ihl));
        return true;
    }
    if (len >= sizeof *eth + sizeof *ip6 && eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6)) {
        rte_be32_t low = gen_pod6(pod_of(ip6->dst_addr, 16, pods));

        if (sizeof *eth + sizeof *ip6 + rte_be_to_cpu_16(ip6->payload_len) > len)
            return false;
        memcpy(ip6->src_addr, gen_sender6, sizeof gen_sender6);
        memcpy(ip6->dst_addr, gen_pods6, sizeof gen_pods6);
        memcpy(&ip6->dst_addr[12], &low, sizeof low);
        ip6->hop_limits = 64;
        return true;
    }
    return false;
}

static int load(struct gen_traffic *t, FILE *file, unsigned pods, const char **error)
{
    struct gen_list *list = &t->list[GEN_ORDINARY];
    struct file_header header;
    struct record_header record;
    uint32_t size = 0;

    *error = "not a pcap file of Ethernet frames (pcapng: tcpdump -r FILE -w NEW makes one)";
    if (fread(&header, sizeof header, 1, file) != 1 ||
        (header.magic != MAGIC_US && header.magic != MAGIC_NS) || header.link != ETHERNET)
        return -EINVAL;
    *error = "no memory for the capture; at most 1 GiB of it is taken";
    list->frames = calloc(FRAMES_MAX, sizeof *list->frames);
    t->data = malloc(BYTES_MAX);
    if (!list->frames || !t->data)
        return -ENOMEM;
    while (list->n < FRAMES_MAX && fread(&record, sizeof record, 1, file) == 1) {
        uint8_t *frame = t->data + size;

        *error = "the capture is cut short or damaged";
        if (record.kept > BYTES_MAX - size || fread(frame, record.kept, 1, file) != 1)
            return -EINVAL;
        if (record.kept > 1514 || !map_addresses(frame, record.kept, pods))
            continue;
        // As it was on the wire: at least 60 bytes, and whole cache lines here.
        if (record.kept < 60)
            memset(frame + record.kept, 0, 60 - record.kept);
        list->frames[list->n++] = (struct gen_frame){
            .dst = size / 64, .len = (uint16_t)(record.kept < 60 ? 60 : record.kept)};
        size += RTE_ALIGN(record.kept < 60 ? 64 : record.kept, 64u);
        if (size > BYTES_MAX - 65536)
            break;
    }
    *error = "no IP frames of at most 1514 bytes in the capture";
    return list->n ? 0 : -EINVAL;
}

int gen_capture_load(struct gen_traffic *t, const char *path, unsigned pods, const char **error)
{
    FILE *file = fopen(path, "rb");
    int ret;

    if (!file) {
        *error = "no such capture";
        return -ENOENT;
    }
    ret = load(t, file, pods, error);
    fclose(file);
    return ret;
}
