/* SPDX-License-Identifier: Apache-2.0 */
// IPv4 frames of a pcap file (the classic format, pcap-savefile(5)), for the benchmark's rules:
// each destination address becomes a pod's, each source the sender's. Lengths, protocols and ports
// stay.
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
static unsigned pod_of(rte_be32_t address, unsigned pods)
{
    return (rte_be_to_cpu_32(address) * 2654435761u >> 8) % pods; // Knuth's multiplicative hash
}

// False: it is not IPv4, or was cut short by the capture.
static bool map_addresses(uint8_t *frame, unsigned len, unsigned pods)
{
    struct rte_ether_hdr *eth = (void *)frame;
    struct rte_ipv4_hdr *ip = (void *)(eth + 1);
    unsigned ihl;

    memcpy(frame, gen_macs, sizeof gen_macs);
    if (len < sizeof *eth + sizeof *ip || eth->ether_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
        return false;
    ihl = (ip->version_ihl & 15) * 4u;
    if (ihl < sizeof *ip || sizeof *eth + rte_be_to_cpu_16(ip->total_length) > len ||
        sizeof *eth + ihl > len)
        return false;
    ip->src_addr = gen_sender4();
    ip->dst_addr = gen_pod4(pod_of(ip->dst_addr, pods));
    ip->time_to_live = 64;
    ip->hdr_checksum = 0;
    ip->hdr_checksum = gen_sum_fold(gen_sum(0, ip, ihl));
    return true;
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
    *error = "no IPv4 frames of at most 1514 bytes in the capture";
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
