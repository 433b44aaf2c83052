/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/updates.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "dataplane/dataplane.h"
#include "tests/bench/net_gen/shared.h"

// As many as are committed together when they come faster than that takes.
#define CHANGES_MAX 64
// Between two changes the tables are seen to that often at least.
#define POLL_NS 1000000

static struct rule *rules;
static uint32_t *slots;
static size_t n_rules;

static int fail(char **error, int ret, const char *what)
{
    if (!*error && asprintf(error, "%s: %s", what, strerror(-ret)) < 0)
        *error = NULL;
    return ret;
}

static void set_prefix(struct in6_addr *spec, struct in6_addr *mask, struct in_addr address,
                       unsigned len)
{
    rte_be32_t bits = len ? htonl(~0u << (32 - len)) : 0;

    if (!len)
        return;
    memset(mask, 0xff, 12);
    mask->s6_addr32[3] = bits;
    spec->s6_addr32[2] = htonl(0xffff);
    spec->s6_addr32[3] = address.s_addr & bits;
}

static bool parse_rule(const char *line, struct rule *rule)
{
    unsigned priority, src_len, dst_len, proto, sport, sport_mask, dport, dport_mask, allow;
    struct match *m = &rule->match;
    char src[16], dst[16];
    struct in_addr src_ip, dst_ip;

    if (sscanf(line, "%u %15s %u %15s %u %u %u %u %u %u %u", &priority, src, &src_len, dst,
               &dst_len, &proto, &sport, &sport_mask, &dport, &dport_mask, &allow) != 11 ||
        inet_pton(AF_INET, src, &src_ip) != 1 || inet_pton(AF_INET, dst, &dst_ip) != 1 ||
        src_len > 32 || dst_len > 32)
        return false;
    *rule = (struct rule){.table = RULE_TABLE_POLICY, .priority = (uint16_t)priority};
    m->spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    m->mask.eth_type = 0xffff;
    set_prefix(&m->spec.ip_src, &m->mask.ip_src, src_ip, src_len);
    set_prefix(&m->spec.ip_dst, &m->mask.ip_dst, dst_ip, dst_len);
    m->spec.ip_proto = (uint8_t)proto;
    m->mask.ip_proto = 0xff;
    m->spec.l4_src = htons((uint16_t)sport);
    m->mask.l4_src = htons((uint16_t)sport_mask);
    m->spec.l4_dst = htons((uint16_t)dport);
    m->mask.l4_dst = htons((uint16_t)dport_mask);
    rule_add_action(rule, (struct action){allow ? ACTION_NORMAL : ACTION_DROP});
    return true;
}

static int read_rules(FILE *file, char **error)
{
    char line[256];

    while (fgets(line, sizeof line, file)) {
        if (!(n_rules & (n_rules - 1))) {
            rules = realloc(rules, 2 * (n_rules + 1) * sizeof *rules);
            if (!rules)
                return fail(error, -ENOMEM, "rules");
        }
        if (!parse_rule(line, &rules[n_rules++]))
            return fail(error, -EINVAL, line);
    }
    return 0;
}

int policy_load(const char *path, char **error)
{
    FILE *file = fopen(path, "r");
    int ret;

    if (!file)
        return fail(error, -errno, path);
    ret = read_rules(file, error);
    fclose(file);
    slots = calloc(n_rules + 1, sizeof *slots);
    if (!ret && !slots)
        ret = -ENOMEM;
    dp_policy_miss(true);
    for (size_t i = 0; i < n_rules && !ret; i++)
        ret = dp_policy_add(&rules[i], &slots[i], error);
    if (ret)
        return fail(error, ret, path);
    dp_policy_commit(true);
    return 0;
}

bool policy_poll(void)
{
    return n_rules && dp_policy_poll();
}

void policy_print(void)
{
    struct dp_policy_table_stats stats;
    bool busy = policy_poll();

    dp_policy_table_stats(0, &stats);
    printf("{\"busy\": %s, \"rules\": %u, \"table_bytes\": %" PRIu64
           ", \"structure\": \"%s\", \"delta\": %u, "
           "\"builds\": %" PRIu64 ", \"build_us\": %" PRIu64 "}\n",
           busy ? "true" : "false", stats.rules, stats.bytes, stats.structure, stats.delta,
           stats.builds, stats.build_us_last);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// As the daemon, which does not spin: that may take from the workers what CPUs share. Returns the
// time at which it woke.
static uint64_t sleep_until(uint64_t now, uint64_t then)
{
    struct timespec t;

    then = then < now + POLL_NS ? then : now + POLL_NS;
    t = (struct timespec){(time_t)(then / 1000000000), (long)(then % 1000000000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    return now_ns();
}

// Takes rule `change / 2` out or puts it back.
static void change_rule(uint64_t change)
{
    size_t i = change / 2 % n_rules;
    char *error = NULL;

    if (change % 2 == 0) {
        dp_policy_del(slots[i]);
    } else if (dp_policy_add(&rules[i], &slots[i], &error)) {
        fprintf(stderr, "%s\n", error ? error : "a rule was not taken back");
        abort();
    }
}

// What this share of the changes did not exceed.
static double microseconds(const uint64_t *histogram, double share)
{
    double left = 0;
    unsigned bin = 0;

    for (unsigned i = 0; i < GEN_HISTO; i++)
        left += (double)histogram[i] * share;
    while (bin < GEN_HISTO - 1 && (left -= (double)histogram[bin]) > 0)
        bin++;
    return (double)gen_bin_top(bin) / 1000;
}

void policy_update(unsigned rate, unsigned seconds)
{
    static uint64_t in_force[GEN_HISTO];
    struct dp_policy_table_stats before, after;
    uint64_t start = now_ns(), now = start, done = 0, total = (uint64_t)rate * seconds;

    memset(in_force, 0, sizeof in_force);
    if (!n_rules) {
        printf("{\"error\": \"there are no rules to change\"}\n");
        return;
    }
    total += total % 2; // at the end all rules are there
    dp_policy_table_stats(0, &before);
    prctl(PR_SET_TIMERSLACK, 1000); // of the 50 us that come unasked five changes may be due
    // Behind by half the time again: this is as fast as it goes.
    while (done < total && now - start < seconds * 1500000000ull) {
        uint64_t due = (uint64_t)((double)(now - start) * rate / 1e9) + 1, from = done;
        uint64_t began = now;

        while (done < total && done < due && done - from < CHANGES_MAX)
            change_rule(done++);
        if (done != from) {
            dp_policy_commit(true);
            now = now_ns();
            in_force[gen_bin(now - began)] += done - from;
        } else {
            now = sleep_until(now, start + (uint64_t)((double)done * 1e9 / rate));
        }
        policy_poll();
    }
    if (done % 2) {
        change_rule(done++);
        dp_policy_commit(true);
    }
    dp_policy_table_stats(0, &after);
    printf("{\"changes\": %" PRIu64 ", \"seconds\": %.3f, \"in_force_us\": {\"p50\": %.1f, "
           "\"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}, \"structure\": \"%s\", "
           "\"builds\": %" PRIu64 "}\n",
           done, (double)(now - start) / 1e9, microseconds(in_force, 0.5),
           microseconds(in_force, 0.99), microseconds(in_force, 0.999), microseconds(in_force, 1),
           after.structure, after.builds - before.builds);
}
