/* SPDX-License-Identifier: Apache-2.0 */
// pcap files: draft-ietf-opsawg-pcap, section 4.
#include "offload/esw/player.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_byteorder.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#define PCAP_MAGIC    0xa1b2c3d4 // times in microseconds
#define PCAP_MAGIC_NS 0xa1b23c4d
#define PCAP_ETHERNET 1
#define PCAP_SNAPLEN  65535

struct pcap_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t reserved[2], snaplen, linktype;
};

struct pcap_record {
    uint32_t s, us, captured, length;
};

struct generated {
    struct rte_ether_hdr eth;
    struct rte_ipv4_hdr ip;
    struct rte_udp_hdr udp;
    uint8_t payload[18];
} __attribute__((packed, aligned(2)));

struct esw_player {
    FILE *in, *out;
    bool swapped;         // in is of the other byte order
    pthread_mutex_t lock; // of out: the program's threads and the e-switch's write
    uint32_t flows, next;
    struct generated frame;
};

static int open_in(struct esw_player *player, const char *path)
{
    struct pcap_header header;

    player->in = fopen(path, "re");
    if (!player->in)
        return -errno;
    if (fread(&header, sizeof(header), 1, player->in) != 1)
        return -EBADMSG;
    player->swapped =
        header.magic == rte_bswap32(PCAP_MAGIC) || header.magic == rte_bswap32(PCAP_MAGIC_NS);
    if (player->swapped) {
        header.magic = rte_bswap32(header.magic);
        header.linktype = rte_bswap32(header.linktype);
    }
    if (header.magic != PCAP_MAGIC && header.magic != PCAP_MAGIC_NS)
        return -EBADMSG;
    return (header.linktype & 0xffff) == PCAP_ETHERNET ? 0 : -EPROTONOSUPPORT;
}

static int open_out(struct esw_player *player, const char *path)
{
    const struct pcap_header header = {.magic = PCAP_MAGIC,
                                       .major = 2,
                                       .minor = 4,
                                       .snaplen = PCAP_SNAPLEN,
                                       .linktype = PCAP_ETHERNET};

    player->out = fopen(path, "we");
    if (!player->out || fwrite(&header, sizeof(header), 1, player->out) != 1 || fflush(player->out))
        return -errno;
    return 0;
}

static int open_pcap(struct esw_player *player, const char *paths)
{
    size_t length = strcspn(paths, "+");
    char *in = strndup(paths, length);
    int ret = in ? 0 : -ENOMEM;

    if (in && *in)
        ret = open_in(player, in);
    free(in);
    if (ret == 0 && paths[length] && paths[length + 1])
        ret = open_out(player, paths + length + 1);
    return ret;
}

#define ADDRESSES 65536
#define FLOWS_MAX 1000000 // with other source ports, too

static int make_frame(struct esw_player *player, const char *flows, const uint8_t mac[6])
{
    char *end;
    unsigned long n = strtoul(flows, &end, 10);
    struct generated *frame = &player->frame;

    if (end == flows || *end || n < 1 || n > FLOWS_MAX)
        return -EINVAL;
    player->flows = (uint32_t)n;
    memcpy(&frame->eth.src_addr, mac, 6);
    memset(&frame->eth.dst_addr, 0x02, 6); // unicast, nobody's
    frame->eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    frame->ip.version_ihl = 0x45;
    frame->ip.total_length = rte_cpu_to_be_16(sizeof(*frame) - sizeof(frame->eth));
    frame->ip.time_to_live = 64;
    frame->ip.next_proto_id = IPPROTO_UDP;
    frame->ip.src_addr = RTE_BE32(RTE_IPV4(198u, 18, 0, 1));
    frame->udp.dst_port = RTE_BE16(9); // discard, RFC 863
    frame->udp.dgram_len = rte_cpu_to_be_16(sizeof(frame->udp) + sizeof(frame->payload));
    return 0;
}

int esw_player_open(const char *spec, const uint8_t mac[6], struct esw_player **result)
{
    struct esw_player *player = calloc(1, sizeof(*player));
    int ret;

    if (!player)
        return -ENOMEM;
    pthread_mutex_init(&player->lock, NULL);
    ret = strncmp(spec, "gen:", 4) ? open_pcap(player, spec + strlen("pcap:"))
                                   : make_frame(player, spec + 4, mac);
    if (ret)
        esw_player_close(player);
    else
        *result = player;
    return ret;
}

void esw_player_close(struct esw_player *player)
{
    if (!player)
        return;
    if (player->in)
        fclose(player->in);
    if (player->out)
        fclose(player->out);
    pthread_mutex_destroy(&player->lock);
    free(player);
}

static uint32_t read_frame(struct esw_player *player, uint8_t *frame, uint32_t size)
{
    struct pcap_record record;

    if (fread(&record, sizeof(record), 1, player->in) != 1)
        return 0;
    if (player->swapped)
        record.captured = rte_bswap32(record.captured);
    if (record.captured > size || fread(frame, 1, record.captured, player->in) != record.captured)
        return 0;
    return record.captured;
}

uint32_t esw_player_next(struct esw_player *player, uint8_t *frame, uint32_t size)
{
    struct generated *made = &player->frame;

    if (player->in)
        return read_frame(player, frame, size);
    if (!player->flows)
        return 0;
    made->ip.dst_addr = rte_cpu_to_be_32(RTE_IPV4(198u, 19, 0, 1) + player->next % ADDRESSES);
    made->udp.src_port = rte_cpu_to_be_16((uint16_t)(9 + player->next / ADDRESSES));
    made->ip.hdr_checksum = 0;
    made->ip.hdr_checksum = rte_ipv4_cksum(&made->ip);
    player->next = (player->next + 1) % player->flows;
    memcpy(frame, made, sizeof(*made));
    return sizeof(*made);
}

void esw_player_rewind(struct esw_player *player)
{
    player->next = 0;
    if (player->in)
        fseek(player->in, sizeof(struct pcap_header), SEEK_SET);
}

int esw_player_record(struct esw_player *player, const uint8_t *frame, uint32_t length)
{
    struct pcap_record record = {.captured = length, .length = length};
    struct timespec now;
    int ret = 0;

    if (!player->out)
        return 0;
    clock_gettime(CLOCK_REALTIME, &now);
    record.s = (uint32_t)now.tv_sec;
    record.us = (uint32_t)(now.tv_nsec / 1000);
    pthread_mutex_lock(&player->lock);
    // Flushed, so that a reader sees whole frames at any time.
    if (fwrite(&record, sizeof(record), 1, player->out) != 1 ||
        fwrite(frame, length, 1, player->out) != 1 || fflush(player->out))
        ret = -errno;
    pthread_mutex_unlock(&player->lock);
    return ret;
}
