/* SPDX-License-Identifier: Apache-2.0 */
// Arguments into frames.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_kvargs.h>
#include <rte_udp.h>

#include "tests/bench/net_gen/traffic.h"

// A /24 without its network, gateway and broadcast addresses.
#define PODS_PER_RANGE 253
#define FLOWS_MAX      (16u << 20)
#define IMIX           0 // as a size: 7 of 60, 4 of 590, 1 of 1514 bytes
#define ZIPF_FRAMES    (1u << 20)

// To the router, from the pod that sends.
const uint8_t gen_macs[12] = {0x02, 0x00, 0x5e, 0x00, 0x53, 0x01,
                              0x02, 0x00, 0x00, 0x01, 0x00, 0x01};
static const uint8_t gen_sender6[16] = {0xfd, 0, 0x02, 0, [15] = 0x10};
static const uint8_t gen_pods6[12] = {0xfd, [7] = 0x10, [11] = 0x01};

struct arguments {
    unsigned size, flows, pods, dport, ip, attack_every, ring;
    double rate, zipf;
    bool attack;
    const char *capture;
};

rte_be32_t gen_sender4(void)
{
    return RTE_BE32(10u << 24 | 200 << 16 | 10);
}

rte_be32_t gen_pod4(unsigned pod)
{
    return rte_cpu_to_be_32((10u << 24 | 1 << 16 | 10 << 8) + (pod / PODS_PER_RANGE) * 256 + 2 +
                            pod % PODS_PER_RANGE);
}

static rte_be32_t gen_pod6(unsigned pod) // its low 32 bits
{
    return rte_cpu_to_be_32(pod + 2);
}

uint32_t gen_sum(uint32_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

uint16_t gen_sum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return rte_cpu_to_be_16((uint16_t)~sum);
}

// splitmix64 (Vigna, public domain): the same frames in every run.
static uint64_t random64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned imix(uint64_t *state)
{
    unsigned of12 = (unsigned)(random64(state) % 12);

    return of12 < 7 ? 60 : of12 < 11 ? 590 : 1514;
}

// The checksums that belong to a frame's addresses, ports and length. The payload is whatever was
// in the buffer, so a UDP checksum could only be none (RFC 768); IPv6 asks for one (RFC 8200
// section 8.1), which is that of a payload of zeroes.
static void fill_sums(struct gen_frame *f, const uint8_t *header, bool ip6)
{
    uint16_t l4_len = (uint16_t)(f->len - RTE_ETHER_HDR_LEN - (ip6 ? 40 : 20));
    uint32_t sum;

    if (ip6) {
        sum = gen_sum(2 * l4_len + IPPROTO_UDP, gen_sender6, sizeof gen_sender6);
        sum = gen_sum(sum, gen_pods6, sizeof gen_pods6);
        f->l4_sum =
            gen_sum_fold(gen_sum(gen_sum(gen_sum(sum, &f->dst, 4), &f->sport, 2), &f->dport, 2));
    } else {
        const struct rte_ipv4_hdr *ip = (const void *)(header + RTE_ETHER_HDR_LEN);

        sum = gen_sum(20u + l4_len, ip, sizeof *ip);
        f->ip_sum = gen_sum_fold(gen_sum(sum, &f->dst, 4));
    }
}

static void fill_header(uint8_t *header, bool ip6)
{
    struct rte_ether_hdr *eth = (void *)header;

    memcpy(eth, gen_macs, sizeof gen_macs);
    eth->ether_type = ip6 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4);
    if (ip6) {
        struct rte_ipv6_hdr *ip = (void *)(eth + 1);

        ip->vtc_flow = RTE_BE32(6u << 28);
        ip->proto = IPPROTO_UDP;
        ip->hop_limits = 64;
        memcpy(ip->src_addr, gen_sender6, sizeof gen_sender6);
        memcpy(ip->dst_addr, gen_pods6, sizeof gen_pods6);
    } else {
        struct rte_ipv4_hdr *ip = (void *)(eth + 1);

        ip->version_ihl = RTE_IPV4_VHL_DEF;
        ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
        ip->time_to_live = 64;
        ip->next_proto_id = IPPROTO_UDP;
        ip->src_addr = gen_sender4();
    }
}

// Flow i goes to pod i % pods; ports differ within a pod, and are none that a guard stops (BFD,
// DHCP).
static void flow_frame(struct gen_frame *f, unsigned i, const struct arguments *a, uint64_t *state)
{
    unsigned pod = i % a->pods, k = i / a->pods;
    // An odd factor: no two k of 24 bits give the same.
    unsigned ports = (k * 0x9e3779b1u + pod * 0x85ebca6bu) & 0xffffff;

    f->dst = a->ip == 6 ? gen_pod6(pod) : gen_pod4(pod);
    f->sport = rte_cpu_to_be_16((uint16_t)(32768 + (ports >> 9)));
    f->dport = rte_cpu_to_be_16((uint16_t)(a->dport ? a->dport : 512 + (ports & 511)));
    f->len = (uint16_t)(a->size == IMIX ? imix(state) : a->size);
    if (a->ip == 6 && f->len < 70)
        f->len = 70; // headers and the stamp
}

static int make_list(struct gen_list *list, unsigned n)
{
    list->frames = aligned_alloc(64, RTE_ALIGN(n * sizeof *list->frames, 64));
    list->n = n;
    return list->frames ? 0 : -ENOMEM;
}

// Each flow once, in an order that is random but always the same.
static int make_uniform(struct gen_traffic *t, const struct arguments *a, uint64_t *state)
{
    struct gen_list *list = &t->list[GEN_ORDINARY];

    if (make_list(list, a->flows))
        return -ENOMEM;
    for (unsigned i = 0; i < a->flows; i++)
        flow_frame(&list->frames[i], i, a, state);
    for (unsigned i = a->flows; i > 1; i--) {
        unsigned j = (unsigned)(random64(state) % i);
        struct gen_frame swap = list->frames[i - 1];

        list->frames[i - 1] = list->frames[j];
        list->frames[j] = swap;
    }
    return 0;
}

// Flow of rank r as often as 1 / r^zipf says.
static int make_zipf(struct gen_traffic *t, const struct arguments *a, uint64_t *state)
{
    struct gen_list *list = &t->list[GEN_ORDINARY];
    double *below = malloc(a->flows * sizeof *below), total = 0;

    if (!below || make_list(list, ZIPF_FRAMES)) {
        free(below);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < a->flows; i++)
        below[i] = total += pow(i + 1, -a->zipf);
    for (unsigned i = 0; i < ZIPF_FRAMES; i++) {
        double at = (double)(random64(state) >> 11) / (1ull << 53) * total;
        unsigned low = 0, high = a->flows - 1;

        while (low < high) {
            unsigned mid = (low + high) / 2;

            if (below[mid] < at)
                low = mid + 1;
            else
                high = mid;
        }
        flow_frame(&list->frames[i], low, a, state);
    }
    free(below);
    return 0;
}

// Against the policy of rules.py's attack_policy(): one bit of each field differs from what its
// rules say, in every combination. A cache that wildcards as much as each packet allows needs a
// mask for each.
static int make_attack(struct gen_traffic *t, const struct arguments *a, uint64_t *state)
{
    const uint32_t dst = 10u << 24 | 1 << 16 | 10 << 8 | 2;
    const uint16_t sport = 12345, dport = 80;
    struct gen_list *list = &t->list[GEN_ATTACK];
    unsigned n = 32 * 16 * 16;

    if (make_list(list, n))
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        // An odd factor: each combination once, in no simple order.
        unsigned bits = i * 0x9e3779b1u % n;
        struct gen_frame *f = &list->frames[i];

        f->dst = rte_cpu_to_be_32(dst ^ 1u << bits % 32);
        f->sport = rte_cpu_to_be_16((uint16_t)(sport ^ 1u << bits / 32 % 16));
        f->dport = rte_cpu_to_be_16((uint16_t)(dport ^ 1u << bits / 512));
        f->len = (uint16_t)(a->size == IMIX ? imix(state) : a->size);
    }
    return 0;
}

static int parse_one(const char *key, const char *value, void *arg)
{
    struct arguments *a = arg;
    struct {
        const char *key;
        unsigned *value, min, max;
    } numbers[] = {
        {"flows", &a->flows, 1, FLOWS_MAX},
        {"pods", &a->pods, 1, 65535},
        {"dport", &a->dport, 0, 65535},
        {"ip", &a->ip, 4, 6},
        {"attack_every", &a->attack_every, 0, ~0u},
        {"ring", &a->ring, 32, 1u << 20},
    };
    char *end = NULL;

    if (!value)
        return -EINVAL;
    if (!strcmp(key, "capture")) {
        a->capture = value;
        return 0;
    }
    if (!strcmp(key, "size") && !strcmp(value, "imix")) {
        a->size = IMIX;
        return 0;
    }
    if (!strcmp(key, "size")) {
        a->size = (unsigned)strtoul(value, &end, 10);
        return *end || a->size < 60 || a->size > 1514 ? -EINVAL : 0;
    }
    if (!strcmp(key, "rate") || !strcmp(key, "zipf")) {
        double *number = *key == 'r' ? &a->rate : &a->zipf;

        *number = strtod(value, &end);
        return *end || !(*number >= 0 && *number < 1e9) ? -EINVAL : 0;
    }
    for (unsigned i = 0; i < RTE_DIM(numbers); i++) {
        if (!strcmp(key, numbers[i].key)) {
            unsigned long n = strtoul(value, &end, 10);

            *numbers[i].value = (unsigned)n;
            return *end || n < numbers[i].min || n > numbers[i].max ? -EINVAL : 0;
        }
    }
    return 0; // the device's own
}

static int make(struct gen_traffic *t, const struct arguments *a, const char **error)
{
    uint64_t state = 1;
    int ret;

    if (a->ip == 5 || (a->ip == 6 && a->attack_every)) {
        *error = "ip=4 or 6; attack_every only with 4";
        return -EINVAL;
    }
    t->attack_every = a->attack_every;
    t->rate = a->rate;
    t->ring = a->ring;
    t->ip6 = a->ip == 6;
    fill_header(t->header, t->ip6);
    if (a->capture)
        return gen_capture_load(t, a->capture, a->pods, error);
    *error = "no memory for so many flows";
    ret = a->zipf > 0 ? make_zipf(t, a, &state) : make_uniform(t, a, &state);
    if (!ret && a->attack_every)
        ret = make_attack(t, a, &state);
    for (unsigned c = 0; !ret && c < RTE_DIM(t->list); c++)
        for (unsigned i = 0; i < t->list[c].n; i++)
            fill_sums(&t->list[c].frames[i], t->header, t->ip6);
    return ret;
}

struct gen_traffic *gen_traffic_new(const char *args, const char **error)
{
    struct arguments a = {.size = 60, .flows = 1000, .pods = 506, .ip = 4, .ring = 4096};
    struct rte_kvargs *list = rte_kvargs_parse(args, NULL);
    struct gen_traffic *t = NULL;

    if (!list || rte_kvargs_process(list, NULL, parse_one, &a)) {
        *error = "malformed arguments";
    } else {
        *error = "no memory";
        t = calloc(1, sizeof *t);
        if (t && make(t, &a, error)) {
            gen_traffic_free(t);
            t = NULL;
        }
    }
    rte_kvargs_free(list);
    return t;
}

void gen_traffic_free(struct gen_traffic *t)
{
    if (!t)
        return;
    for (unsigned c = 0; c < RTE_DIM(t->list); c++)
        free(t->list[c].frames);
    free(t->data);
    free(t);
}
